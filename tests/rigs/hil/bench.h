/*
 * The parts of the bench and what they share: see avr_bench.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BENCH_H
#define BENCH_H

#include "chip.h"

#define BENCH_HZ 16000000u /* what the firmware is built for, and its crystal says */
#define NS_A_S 1000000000ull

/* The page that is shared with the test (--clock FILE): every field is eight bytes. The test
 * writes `taken_ns` only. */
typedef struct {
  volatile uint64_t now_ns;       /* true time */
  volatile uint64_t taken_ns;     /* true time at which the reader last read all there was */
  volatile uint64_t is_plugged;   /* there is a port */
  volatile uint64_t n_plugged;    /* how often there was a new one */
  volatile uint64_t n_sent;       /* bytes written to ports */
  volatile uint64_t n_unheard;    /* bytes that nobody listened to: no port, or not open */
  volatile uint64_t n_resets;     /* of the processor, the first start not among them */
  volatile uint64_t n_stalls;     /* how often time stood still for a reader that was behind */
  volatile uint64_t n_gave_up;    /* how often such a wait was given up */
  volatile uint64_t n_garbled;    /* bytes spoilt because the two ends had other baud rates */
} bench_page;

extern avr_t *bench_avr;
extern bench_page *bench_shared;

/* avr_bench.c */
void bench_quit(int code);
int bench_is_quitting(void);
void bench_set_speed(double times); /* times real time; 0 as fast as it goes */
void bench_reset(double hold_s); /* and let the processor stand still for so long */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* bench_cable.c: the pseudo terminal that stands for the USB cable */
void cable_begin(const char *link);
void cable_plug(void);
void cable_pull(void);
int cable_is_plugged(void);
int cable_is_open(void);  /* somebody has the port open */
double cable_baud(void);  /* of the other end; 0 where nobody has set one that is known here */
size_t cable_write(const uint8_t *bytes, size_t n); /* how many found room */
size_t cable_read(uint8_t *bytes, size_t size);

/* bench_line.c: UART 0 */
void line_begin(double lag_ms);
void line_unplug(unsigned at_byte); /* 0: at once; else behind so many bytes of a frame */
void line_after_reset(void);
void line_work(void); /* move bytes; returns once the reader is not too far behind */
void line_end(void);

/* bench_inputs.c: voltages, levels of pins, chips */
void inputs_add_adc(const char *text);  /* "A0=FILE@FS": millivolts at the pin */
void inputs_set_pin(const char *name, int level);
void inputs_add_chip(const char *text); /* "NAME" or "NAME:args" */
void inputs_begin(double avcc_mv, double aref_mv);
void inputs_after_reset(void);
int inputs_chip_command(const char *name, const char *text); /* 0 = there is such a chip */
void inputs_open_events(const char *path);
void inputs_end(void);

/* bench_script.c: what is to happen, and when */
void script_read(const char *path);
void script_work(void); /* what is due, and what stands on stdin */

#endif
