#include "load.h"

#include <dirent.h>
#include <stdio.h>

uint64_t processor_time(pid_t pid)
{
    char path[300];
    uint64_t total = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return 0;
    for (struct dirent *task; (task = readdir(tasks));) {
        unsigned long long time;
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fscanf(file, "%llu", &time) == 1)
            total += time;
        fclose(file);
    }
    closedir(tasks);
    return total;
}

uint64_t waiting_time(pid_t pid)
{
    char path[64];
    unsigned long long time = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*u %llu", &time) != 1)
        time = 0;
    fclose(file);
    return time;
}
