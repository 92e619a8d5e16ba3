/*
 * Virtual chips on the emulated board, and what the board (avr_bench.c) gives them.
 *
 * A chip is a file chip_NAME.c in this folder; avr.py compiles all of them into the bench, and
 * `--chip NAME[:args]` attaches it. Nothing is listed by hand: the bench looks the functions up by
 * name. `args` is "key=value,key=value" and never NULL.
 *
 *     int  chip_NAME_attach(avr_t *avr, const char *args);   required; 0 = done, else the bench ends
 *     void chip_NAME_reset(avr_t *avr);                      optional; after the command "reset"
 *     void chip_NAME_command(avr_t *avr, const char *text);  optional; "chip NAME text" on stdin
 *
 * A reset of the processor forgets every avr_cycle_timer, a chip's too: begin them anew in
 * chip_NAME_reset. The chip itself keeps its power over a reset.
 *
 * There are two clocks. The board's is avr->cycle, 16 MHz of a crystal that may be off by --ppm.
 * The true one, which the reader under test also sees, is bench_now_ns(). A chip with a crystal of
 * its own goes by the true one: schedule with bench_cycle_at().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CHIP_H
#define CHIP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <simavr/sim_avr.h>

/* True time since the board was switched on, in nanoseconds. */
uint64_t bench_now_ns(void);
/* The processor cycle at which the true time will be `ns`; for avr_cycle_timer_register, subtract
 * avr->cycle. */
avr_cycle_count_t bench_cycle_at(uint64_t ns);

/* A file of little-endian 32-bit floats, rows of n_columns numbers at fs_hz, in whatever unit the
 * chip measures; the first row is true time 0. */
typedef struct {
  const float *values;
  size_t n_rows;
  unsigned n_columns;
  double fs_hz;
} bench_input;

/* Map a file; return 0, or -1 with a line on stderr. */
int bench_input_open(bench_input *input, const char *path, unsigned n_columns, double fs_hz);
/* The column's value at a true time, on the straight line between rows; the ends are held. */
double bench_input_at(const bench_input *input, unsigned column, uint64_t ns);

/* Copy the value of `key` in args to out; return 1, or 0 where there is none (out is "" then). */
int bench_arg(const char *args, const char *key, char *out, size_t size);
/* The same as a number, or `otherwise` where there is none. */
double bench_arg_number(const char *args, const char *key, double otherwise);

/* A line in the log of events (--events): true time in ns, board's cycle, name, number. Does
 * nothing without a log. Examples: when a conversion was started, when a FIFO overflowed. */
void bench_event(const char *name, double number);

#endif
