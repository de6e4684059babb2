/* Says who PID 1 is and what it was told; ends with the number it is given, if any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    char comm[32] = "?";
    FILE *file = fopen("/proc/1/comm", "r");
    if (file) {
        if (fgets(comm, sizeof comm, file))
            comm[strcspn(comm, "\n")] = 0;
        fclose(file);
    }
    printf("%s: PID 1 is %s\n", argc > 1 ? argv[1] : "hello", comm);
    return argc > 2 ? atoi(argv[2]) : 0;
}
