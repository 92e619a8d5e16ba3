/* SPDX-License-Identifier: Apache-2.0
 *
 * Virtual I2C chips, modelled by their registers; and what a test may do to them.
 */
#ifndef I2C_CHIPS_H
#define I2C_CHIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the control file sets, by the name it has there; times in ms, all numbers whole. */
struct control {
  long bus_open_errno;      /* opening the bus fails with it */
  long bus_errno;           /* every transfer fails with it */
  long bus_hang_ms;         /* every transfer takes so long and times out; -1: until this changes */
  long bus_khz;             /* how long transfers take; 0: none */
  long bus_held;            /* address a driver of the kernel holds */
  long bus_nak_every;       /* every so many-th transfer is not acknowledged */
  long max30102_plugged;
  long max30102_cut;        /* another number: power failed for a moment, between two transfers */
  long max30102_stuck;      /* samples no more */
  long max30102_part;
  long max30102_ppm;        /* how much faster than nominal it samples */
  long max30102_high;       /* data line hangs high while the FIFO is read */
  long mlx90614_plugged;
  long mlx90614_address;
  long mlx90614_object;     /* words as in its RAM */
  long mlx90614_ambient;
  long mlx90614_pec_xor;    /* what its check byte is spoilt with */
  long tmp117_plugged;
  long tmp117_raw;
  long tmp117_device;
  long tmp117_stuck;        /* converts no more */
};

extern struct control control;

/* Read the control file anew where it has changed. */
void control_follow(void);

/* Boot clock. */
double now_s(void);

/* Add a line to the log that the test reads: "<boot clock> <text>". */
void say(const char *format, ...);

/* A chip: what is asked of it with the bus held, one transfer at a time, as on the wire. */
struct chip {
  void (*live)(void);                           /* let time pass, and power come and go */
  bool (*answers)(unsigned address);            /* whether it acknowledges */
  void (*write)(const uint8_t *bytes, size_t n); /* n > 0 */
  void (*read)(uint8_t *bytes, size_t n);
  void (*end)(void);                            /* say what is left, when the process ends */
};

extern const struct chip max30102, mlx90614, tmp117;

#endif
