/* service FIFO ID [NOTIFY_FD]: the service that every supervisor runs.
 *
 * Says 'S' with the time of its first instruction, writes s6's readiness newline when asked to,
 * then waits.  SIGTERM: says 'T' and ends with 0.  SIGUSR1: says 'U'.
 */
#include "bare.h"

static int fifo, id;

static void terminate(int signal)
{
    report(fifo, 'T', id, signal, now_ns());
    leave(0);
}

static void user(int signal)
{
    report(fifo, 'U', id, signal, now_ns());
}

__attribute__((used)) _Noreturn void begin(long *stack)
{
    long long started = now_ns();
    char **argv = (char **)(stack + 1);

    if (stack[0] < 3)
        leave(2);
    fifo = open_fifo(argv[1]);
    id = number(argv[2]);
    on_signal(15, terminate);
    on_signal(10, user);
    report(fifo, 'S', id, 0, started);
    if (stack[0] > 3) {
        int notify_fd = number(argv[3]);
        syscall4(__NR_write, notify_fd, (long)"\n", 1, 0);
        syscall4(__NR_close, notify_fd, 0, 0, 0);
    }
    for (;;)
        syscall4(__NR_ppoll, 0, 0, 0, 0);
}
