/* orphans FIFO ID COUNT: make COUNT orphans at once and watch PID 1 collect them.
 *
 * 'S' says it waits for SIGUSR1.  Then a child makes COUNT children, which end at once and stay
 * zombies; the child ends too, and all of them are PID 1's in the same moment ('O', value COUNT).
 * 'G': none is left.  'Z': the patience (5 s) is over, value is how many are left.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

static const long long patience_ns = 5000000000LL;

static void say(int fifo, char kind, int id, int value)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record record = {.kind = kind, .id = id, .pid = getpid(), .value = value,
                            .time_ns = now.tv_sec * 1000000000LL + now.tv_nsec};
    if (write(fifo, &record, sizeof record) != sizeof record)
        _exit(3);
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int left(const pid_t *pids, int count)
{
    int alive = 0;
    for (int index = 0; index < count; index++)
        alive += kill(pids[index], 0) == 0;
    return alive;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int fifo = open(argv[1], O_WRONLY | O_CLOEXEC), id = atoi(argv[2]), count = atoi(argv[3]);
    pid_t *pids = mmap(NULL, (size_t)count * sizeof *pids, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigset_t user;
    int number;
    if (pids == MAP_FAILED)
        return 4;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    sigprocmask(SIG_BLOCK, &user, NULL);
    say(fifo, 'S', id, 0);
    sigwait(&user, &number);

    pid_t mother = fork();
    if (mother == 0) {
        for (int index = 0; index < count; index++) {
            pid_t child;
            while ((child = fork()) < 0)
                usleep(1000);
            if (child == 0)
                _exit(0);
            pids[index] = child; /* by the mother alone: the memory is shared */
        }
        /* Those made last may still be ending: wait, without collecting them. */
        siginfo_t ended;
        for (int index = 0; index < count; index++)
            while (waitid(P_PID, (id_t)pids[index], &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR)
                continue;
        say(fifo, 'O', id, count);
        _exit(0);
    }
    waitpid(mother, NULL, 0);
    /* Follow PID 1 in the order in which the kernel hands them out; any other order is right too. */
    long long deadline = now_ns() + patience_ns;
    for (int index = 0; index < count; index++)
        while (kill(pids[index], 0) == 0) {
            if (now_ns() > deadline) {
                say(fifo, 'Z', id, left(pids, count));
                pause();
            }
            usleep(200);
        }
    say(fifo, 'G', id, 0);
    for (;;)
        pause();
}
