/* launch FIFO ARGV...: run ARGV as PID 1 of a new pid and mount namespace with its own /proc.
 *
 * 'P': its pid as seen from outside.  'E': the moment before its execve.  'F': execve failed,
 * value is errno.  'X': the moment its end was known here, value is the wait status; by then
 * the kernel has killed and collected everything else in the namespace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "record.h"

static void say(int fifo, char kind, int pid, int value)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record record = {.kind = kind, .pid = pid, .value = value,
                            .time_ns = now.tv_sec * 1000000000LL + now.tv_nsec};
    if (write(fifo, &record, sizeof record) != sizeof record)
        _exit(3);
}

int main(int argc, char **argv)
{
    int fifo = argc > 2 ? open(argv[1], O_WRONLY | O_CLOEXEC) : -1, status;
    if (fifo < 0) {
        fprintf(stderr, "launch FIFO ARGV...: cannot open the FIFO\n");
        return 2;
    }
    long child = syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) {
        perror("launch: cannot make a pid namespace");
        return 2;
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setsid();
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            say(fifo, 'F', 1, errno);
        say(fifo, 'E', 1, 0);
        execvp(argv[2], argv + 2);
        say(fifo, 'F', 1, errno);
        _exit(127);
    }
    say(fifo, 'P', (int)child, 0);
    /* The launcher's ends of the pipes must not keep the harness from seeing end of file. */
    close(0);
    close(1);
    close(2);
    while (waitpid((pid_t)child, &status, 0) < 0)
        if (errno != EINTR)
            return 2;
    say(fifo, 'X', (int)child, status);
    return 0;
}
