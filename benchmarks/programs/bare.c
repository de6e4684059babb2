/* bare FILE: the least that can be called a supervisor, to show what the kernel itself costs.
 *
 * FILE has one command a line, words separated by blanks.  Starts them all by vfork with stdout
 * on a pipe each, copies the pipes to its stdout, restarts what ends, collects orphans, hands
 * SIGUSR1 on, stops all on SIGTERM.  Without configuration, state, backoff, or error handling.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 20000, WORDS = 16, CHUNK = 1 << 16 };

static struct { char *argv[WORDS]; int pipe[2]; pid_t pid; } services[MOST];
static int count, alive, stopping;
static char chunk[CHUNK];

static void start(int index)
{
    pid_t pid = vfork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        dup2(services[index].pipe[1], 1);
        execv(services[index].argv[0], services[index].argv);
        _exit(127);
    }
    services[index].pid = pid;
    alive++;
}

static void collect(void)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int index = 0; index < count; index++)
            if (services[index].pid == pid) {
                services[index].pid = 0;
                alive--;
                if (!stopping)
                    start(index);
                break;
            }
    if (stopping && alive == 0)
        exit(0);
}

static void pass(int number)
{
    for (int index = 0; index < count; index++)
        if (services[index].pid > 0)
            kill(services[index].pid, number);
}

static void copy(int index)
{
    ssize_t got = read(services[index].pipe[0], chunk, sizeof chunk), done = 0;
    while (done < got) {
        ssize_t wrote = write(1, chunk + done, (size_t)(got - done));
        if (wrote < 0)
            exit(4);
        done += wrote;
    }
}

static void load(const char *path)
{
    static char line[4096];
    FILE *file = fopen(path, "r");
    if (!file)
        exit(2);
    while (count < MOST && fgets(line, sizeof line, file)) {
        int words = 0;
        for (char *word = strtok(strdup(line), " \n"); word; word = strtok(NULL, " \n"))
            services[count].argv[words++] = word;
        count++;
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    sigset_t set;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = MOST}, ready[64];
    struct signalfd_siginfo signals[16];
    if (argc != 2)
        return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, signal_fd, &event);
    load(argv[1]);
    for (int index = 0; index < count; index++) {
        if (pipe2(services[index].pipe, O_CLOEXEC) < 0)
            return 4;
        event.data.u32 = (unsigned)index;
        epoll_ctl(epoll, EPOLL_CTL_ADD, services[index].pipe[0], &event);
        start(index);
    }
    for (;;) {
        int many = epoll_wait(epoll, ready, 64, -1);
        for (int at = 0; at < many; at++) {
            if (ready[at].data.u32 < MOST) {
                copy((int)ready[at].data.u32);
                continue;
            }
            ssize_t got = read(signal_fd, signals, sizeof signals);
            for (size_t seen = 0; got > 0 && seen < (size_t)got / sizeof *signals; seen++) {
                if (signals[seen].ssi_signo == SIGTERM)
                    stopping = 1;
                if (signals[seen].ssi_signo != SIGCHLD)
                    pass((int)signals[seen].ssi_signo);
            }
            collect();
        }
    }
}
