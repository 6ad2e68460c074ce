#include "load.h"

/* Each power of two is divided into so many. */
#define PARTS 64
#define PARTS_BITS 6

static uint64_t counts[64 * PARTS], total;

static unsigned place(uint64_t time)
{
    if (time < PARTS)
        return (unsigned)time;
    unsigned power = 63u - (unsigned)__builtin_clzll(time) - PARTS_BITS;
    return (power + 1) * PARTS + (unsigned)(time >> power) - PARTS;
}

static uint64_t value(unsigned place)
{
    if (place < PARTS)
        return place;
    unsigned power = place / PARTS - 1;
    return (uint64_t)(place % PARTS + PARTS) << power;
}

void histogram_add(uint64_t time)
{
    counts[place(time)]++;
    total++;
}

uint64_t histogram_quantile(double quantile)
{
    uint64_t wanted = (uint64_t)(quantile * (double)total), seen = 0;
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        seen += counts[i];
        if (seen > wanted)
            return value(i);
    }
    return 0;
}
