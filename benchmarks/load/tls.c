#include "load.h"

#ifdef WITHOUT_TLS

void *tls_new(int fd) { (void)fd; fail("built without OpenSSL, so there is no --tls"); }
bool tls_connected(void *tls) { (void)tls; return false; }
ssize_t tls_read(void *tls, void *data, size_t length) { (void)tls, (void)data, (void)length; return -1; }
ssize_t tls_write(void *tls, const void *data, size_t length) { (void)tls, (void)data, (void)length; return -1; }
void tls_free(void *tls) { (void)tls; }

#else

#include <errno.h>
#include <openssl/ssl.h>

/* What the next connection resumes, if it is to. */
static SSL_SESSION *session;

static int session_new(SSL *tls, SSL_SESSION *made)
{
    (void)tls;
    SSL_SESSION_free(session);
    session = made;
    return 1;
}

void *tls_new(int fd)
{
    static SSL_CTX *context;
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        if (options.resume)
            SSL_CTX_sess_set_new_cb(context, session_new);
    }
    SSL *tls = SSL_new(context);
    SSL_set_fd(tls, fd);
    SSL_set_connect_state(tls);
    if (session) {
        SSL_set_session(tls, session);
        SSL_set_app_data(tls, session);
    }
    return tls;
}

static int outcome(SSL *tls, int result)
{
    if (result > 0)
        return result;
    int error = SSL_get_error(tls, result);
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}

bool tls_connected(void *tls)
{
    int result = outcome(tls, SSL_do_handshake(tls));
    if (result <= 0 && errno != EAGAIN)
        fail("the TLS handshake failed");
    /* Some of those that begin at the same time may not be. */
    static unsigned missed;
    if (result > 0 && SSL_get_app_data(tls) && !SSL_session_reused(tls) && ++missed > 200)
        fail("TLS sessions are not resumed");
    return result > 0;
}

ssize_t tls_read(void *tls, void *data, size_t length)
{
    return outcome(tls, SSL_read(tls, data, (int)length));
}

ssize_t tls_write(void *tls, const void *data, size_t length)
{
    return outcome(tls, SSL_write(tls, data, (int)length));
}

void tls_free(void *tls)
{
    /* Otherwise what it had is not to be resumed. */
    SSL_set_quiet_shutdown(tls, 1);
    SSL_shutdown(tls);
    SSL_free(tls);
}

#endif
