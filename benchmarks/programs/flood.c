/* flood FIFO ID LINES BLOCK: write LINES numbered lines of 100 bytes to stdout, BLOCK a write.
 *
 * Each line ends in its ten-digit number.  Waits for SIGUSR1 ('S' says it does), says 'B' before
 * the first write and 'D' after the last, then waits for ever.
 */
#include "bare.h"

enum { LINE = 100, DIGITS = 10, MOST = 640 };

static volatile int go;
static char buffer[MOST * LINE];

static void user(int signal)
{
    go = signal;
}

static void put_number(char *end, unsigned value)
{
    for (int digit = 0; digit < DIGITS; digit++, value /= 10)
        *--end = (char)('0' + value % 10);
}

static void write_all(const char *from, long size)
{
    while (size > 0) {
        long written = syscall4(__NR_write, 1, (long)from, size, 0);
        if (written == -4) /* EINTR */
            continue;
        if (written <= 0)
            leave(4);
        from += written;
        size -= written;
    }
}

__attribute__((used)) _Noreturn void begin(long *stack)
{
    char **argv = (char **)(stack + 1);
    if (stack[0] < 5)
        leave(2);
    int fifo = open_fifo(argv[1]), id = number(argv[2]);
    unsigned lines = (unsigned)number(argv[3]), block = (unsigned)number(argv[4]);
    if (block < 1 || block > MOST)
        leave(2);
    for (unsigned at = 0; at < sizeof buffer; at++)
        buffer[at] = at % LINE == LINE - 1 ? '\n' : (char)('a' + at % 26);

    unsigned long user_signal = 1UL << (10 - 1);
    on_signal(10, user);
    syscall4(__NR_rt_sigprocmask, 0 /* SIG_BLOCK */, (long)&user_signal, 0, 8);
    report(fifo, 'S', id, 0, now_ns());
    unsigned long none = 0;
    while (!go) /* the mask is lifted for the wait alone: the signal cannot slip in before it */
        syscall4(__NR_rt_sigsuspend, (long)&none, 8, 0, 0);
    report(fifo, 'B', id, 0, now_ns());
    for (unsigned sent = 0; sent < lines;) {
        unsigned count = lines - sent < block ? lines - sent : block;
        for (unsigned index = 0; index < count; index++)
            put_number(buffer + index * LINE + LINE - 1, sent + index);
        write_all(buffer, (long)count * LINE);
        sent += count;
    }
    report(fifo, 'D', id, 0, now_ns());
    for (;;)
        syscall4(__NR_ppoll, 0, 0, 0, 0);
}
