/* One fixed-size message from a measured process to the harness, written to a FIFO.
 *
 * Writes of up to PIPE_BUF bytes are atomic, so records of many processes never mix.
 * The Python side is benchmarks/records.py.
 */
#ifndef RECORD_H
#define RECORD_H

struct record {
    char kind; /* see benchmarks/records.py */
    char pad[3];
    int id;    /* which service; 0 where there is none */
    int pid;   /* as the sender sees it, unless the kind says otherwise */
    int value; /* depends on the kind */
    long long time_ns; /* CLOCK_MONOTONIC */
};

#endif
