/* drain FIFO LINES: read stdin until LINES numbered lines have come, in order.
 *
 * Checks the ten-digit number at the end of every line; a line without one (a supervisor's own
 * words) is counted apart.  Says 'R' with the time of the last line, value the number of foreign
 * lines, and 'Y' with the last line's length in bytes; 'L' (lost) with the number it expected when it was surprised or met the end.  Then reads
 * on until the end, so that nobody blocks.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

enum { DIGITS = 10, ROOM = 1 << 20 };

static char buffer[ROOM];

static void say(int fifo, char kind, int value)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record record = {.kind = kind, .pid = getpid(), .value = value,
                            .time_ns = now.tv_sec * 1000000000LL + now.tv_nsec};
    if (write(fifo, &record, sizeof record) != sizeof record)
        _exit(3);
}

/* The number before the line's end, or -1. */
static long numbered(const char *line, const char *end)
{
    long value = 0;
    if (end - line < DIGITS)
        return -1;
    for (const char *at = end - DIGITS; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        value = value * 10 + (*at - '0');
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int fifo = open(argv[1], O_WRONLY | O_CLOEXEC), foreign = 0, told = 0;
    long lines = atol(argv[2]), expected = 0;
    size_t held = 0, length = 0;
    ssize_t got;
    while ((got = read(0, buffer + held, sizeof buffer - held)) > 0) {
        char *line = buffer, *stop = buffer + held + got;
        for (;;) {
            /* Most lines are as long as the one before: look there before searching. */
            char *end = line + length;
            if (end >= stop || *end != '\n' || numbered(line, end) != expected)
                end = memchr(line, '\n', (size_t)(stop - line));
            if (end == NULL)
                break;
            length = (size_t)(end - line);
            long found = numbered(line, end);
            if (found < 0)
                foreign++;
            else if (found != expected++ && !told++)
                say(fifo, 'L', (int)expected - 1);
            line = end + 1;
            if (found >= 0 && expected == lines && !told++) {
                say(fifo, 'R', foreign);
                say(fifo, 'Y', (int)length + 1);
            }
        }
        held = (size_t)(stop - line);
        memmove(buffer, line, held);
        if (held == sizeof buffer)
            held = 0; /* a line of a megabyte is nobody's */
    }
    if (!told)
        say(fifo, 'L', (int)expected);
    return 0;
}
