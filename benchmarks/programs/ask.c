/* ask ADDRESS PORT SECONDS: one new connection a request, one after the other; says how many were
 * answered in that time, and ends with 1 at the first that was not. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int answered(const struct sockaddr_in *place)
{
    char answer[16];
    ssize_t got, length = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int good = fd >= 0 && connect(fd, (const struct sockaddr *)place, sizeof *place) == 0
               && write(fd, "hello?\n", 7) == 7;

    while (good && (got = read(fd, answer + length, sizeof answer - length)) > 0)
        length += got;
    close(fd);
    return good && length == 6 && memcmp(answer, "hello\n", 6) == 0;
}

int main(int argc, char **argv)
{
    struct sockaddr_in place = {.sin_family = AF_INET};
    long count = 0;
    double began, end;

    if (argc != 4)
        return 2;
    place.sin_addr.s_addr = inet_addr(argv[1]);
    place.sin_port = htons(atoi(argv[2]));
    began = now();
    end = began + atof(argv[3]);
    while (now() < end) {
        if (!answered(&place))
            return 1;
        count++;
    }
    printf("%.1f\n", count / (now() - began));
    return 0;
}
