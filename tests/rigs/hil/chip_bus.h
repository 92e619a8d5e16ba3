/*
 * What the virtual chips share: an I2C slave with registers, a sample clock of its own, samples out
 * of a file, and a place to say that the firmware did what a data sheet forbids.
 *
 * Every chip knows these arguments and commands:
 *
 *     file=PATH     rows of 32-bit floats, one number a channel: counts, as the chip puts them out.
 *                   Row k is conversion k since the start of the bench; the first follows the last
 *     ppm=X         its oscillator is this much too fast, 10000 = 1 %
 *     absent=1      not plugged in at the start
 *     part=X        what it says when it is asked which part it is; its own number by default
 *     chip NAME unplug | plug
 *     chip NAME brown       a dip of its supply: it forgets its settings
 *     chip NAME hurry N     the next N conversions come 30 us after the one before
 *
 * and logs these events (bench_event): "sample" at each conversion with the number of its row,
 * "lost" for one that nobody read in time, "looked" when the firmware asked for what there is,
 * "fault" for each misuse, which also goes to stderr.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CHIP_BUS_H
#define CHIP_BUS_H

#include "chip.h"

/* ---- Samples --------------------------------------------------------------------------------- */

typedef struct {
  avr_t *avr;
  const char *name;
  bench_input input;
  double ppm;
  double period_ns;  /* 0: does not convert */
  double next_ns;    /* of the next conversion */
  unsigned n_hurried; /* conversions to come at once */
  uint64_t n_rows;   /* conversions so far */
  const float *row;  /* of the last conversion */
  void (*convert)(void);
} chip_samples;

/* Open the file of `args`; 0 = done. */
int chip_samples_open(chip_samples *samples, avr_t *avr, const char *name, const char *args,
                      unsigned n_columns, void (*convert)(void));
/* Convert at this rate from now on, the first time after `first` periods. */
void chip_samples_start(chip_samples *samples, double rate_hz, double first);
void chip_samples_stop(chip_samples *samples);
/* After a reset of the processor, which forgot the timer. */
void chip_samples_resume(chip_samples *samples);
/* The command "hurry"; 0 = it was. */
int chip_samples_command(chip_samples *samples, const char *text);

/* The firmware did what the data sheet forbids. */
void chip_fault(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- I2C ------------------------------------------------------------------------------------- */

typedef struct chip_i2c chip_i2c;
struct chip_i2c {
  avr_t *avr;
  const char *name;
  uint8_t address; /* 7 bits */
  uint8_t is_plugged;
  uint64_t deaf_until_ns;
  unsigned noise;  /* one address in so many is not heard; 0: all are */
  unsigned spoil;  /* the so many-th byte read from now on ends in a bus error; 0: none */
  uint8_t (*read)(uint8_t reg);
  void (*write)(uint8_t reg, uint8_t value);
  uint8_t (*next)(uint8_t reg);  /* the register after this one in a burst */
  void (*ended)(uint8_t n_read); /* a transfer ended: STOP, or START again */
  /* its own */
  uint8_t is_addressed, is_reading, is_spoilt, n_bytes, reg;
  uint32_t chance;
};

/* Listen on the bus; the fields up to `ended` are set. */
void chip_i2c_attach(chip_i2c *chip);
/* Commands that every I2C chip knows; 0 = this was one.
 *     deaf MS      does not answer for so long, but goes on
 *     noise N      one address in N is not heard
 *     spoil N      the Nth byte read from now on ends in a bus error, as by a spike on a wire; the
 *                  chip has moved on by then. is_spoilt says so while the transfer ends. */
int chip_i2c_command(chip_i2c *chip, const char *text);

#endif
