/*
 * What the virtual chips share: see chip_bus.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chip_bus.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <simavr/avr_twi.h>

#define NS_A_S 1e9
#define NS_A_MS 1000000ull
#define HURRY_NS 30000.0
#define BIT_CYCLES 40 /* at 400 kHz; nine of them make a byte */

/* ---- Samples --------------------------------------------------------------------------------- */

int chip_samples_open(chip_samples *samples, avr_t *avr, const char *name, const char *args,
                      unsigned n_columns, void (*convert)(void))
{
  char path[4096];
  memset(samples, 0, sizeof *samples);
  samples->avr = avr;
  samples->name = name;
  samples->convert = convert;
  samples->ppm = bench_arg_number(args, "ppm", 0.0);
  if (!bench_arg(args, "file", path, sizeof path)) {
    fprintf(stderr, "%s: which file? (file=PATH)\n", name);
    return -1;
  }
  return bench_input_open(&samples->input, path, n_columns, 1.0);
}

static avr_cycle_count_t on_sample(avr_t *avr, avr_cycle_count_t when, void *param)
{
  chip_samples *samples = param;
  size_t row = samples->n_rows % samples->input.n_rows;
  (void)avr;
  samples->row = samples->input.values + row * samples->input.n_columns;
  bench_event("sample", (double)samples->n_rows);
  samples->n_rows++;
  samples->next_ns += samples->n_hurried > 0 ? HURRY_NS : samples->period_ns;
  samples->n_hurried -= samples->n_hurried > 0;
  samples->convert();
  avr_cycle_count_t next = bench_cycle_at((uint64_t)samples->next_ns);
  return next > when ? next : when + 1;
}

void chip_samples_resume(chip_samples *samples)
{
  avr_cycle_count_t at = bench_cycle_at((uint64_t)samples->next_ns);
  avr_cycle_timer_cancel(samples->avr, on_sample, samples);
  if (samples->period_ns > 0.0) {
    avr_cycle_count_t now = samples->avr->cycle;
    avr_cycle_timer_register(samples->avr, at > now ? at - now : 1, on_sample, samples);
  }
}

void chip_samples_start(chip_samples *samples, double rate_hz, double first)
{
  samples->period_ns = NS_A_S / (rate_hz * (1.0 + samples->ppm * 1e-6));
  samples->next_ns = (double)bench_now_ns() + first * samples->period_ns;
  chip_samples_resume(samples);
}

void chip_samples_stop(chip_samples *samples)
{
  samples->period_ns = 0.0;
  chip_samples_resume(samples);
}

int chip_samples_command(chip_samples *samples, const char *text)
{
  return sscanf(text, "hurry %u", &samples->n_hurried) == 1 ? 0 : -1;
}

void chip_fault(const char *name, const char *format, ...)
{
  va_list args;
  fprintf(stderr, "%s at %.6f s: ", name, (double)bench_now_ns() / NS_A_S);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  bench_event("fault", 1.0);
}

/* ---- I2C ------------------------------------------------------------------------------------- */

static void answer(const chip_i2c *chip, uint8_t what, uint8_t value)
{
  avr_raise_irq(avr_io_getirq(chip->avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_INPUT),
                avr_twi_irq_msg(what, (uint8_t)(chip->address << 1), value));
}

static int hears(chip_i2c *chip, uint8_t address)
{
  if (!chip->is_plugged || address >> 1 != chip->address ||
      bench_now_ns() < chip->deaf_until_ns) {
    return 0;
  }
  chip->chance = chip->chance * 1664525u + 1013904223u;
  return chip->noise == 0 || (chip->chance >> 8) % chip->noise != 0;
}

static void end_transfer(chip_i2c *chip)
{
  if (chip->is_addressed && chip->is_plugged) {
    chip->ended(chip->is_reading ? chip->n_bytes : 0);
  }
  chip->is_addressed = chip->n_bytes = chip->is_spoilt = 0;
}

/* simavr knows no bus error: the state that is due after this byte is made one. */
static avr_cycle_count_t break_off(avr_t *avr, avr_cycle_count_t when, void *param)
{
  (void)when;
  (void)param;
  for (avr_io_t *io = avr->io_port; io != NULL; io = io->next) {
    if (strcmp(io->kind, "twi") == 0) {
      ((avr_twi_t *)io)->next_twstate = 0x00;
    }
  }
  return 0;
}

static void take_byte(chip_i2c *chip, uint8_t value)
{
  answer(chip, TWI_COND_ACK, 1);
  if (chip->n_bytes == 0) {
    chip->reg = value;
  } else {
    chip->write(chip->reg, value);
    chip->reg = chip->next(chip->reg);
  }
  chip->n_bytes++;
}

static void give_byte(chip_i2c *chip)
{
  uint8_t value = 0xFF; /* the wire is high where nobody pulls it low */
  if (chip->is_plugged) {
    value = chip->read(chip->reg);
    chip->reg = chip->next(chip->reg);
    chip->n_bytes++;
  }
  answer(chip, TWI_COND_READ, value);
  if (chip->spoil > 0 && --chip->spoil == 0) {
    chip->is_spoilt = 1;
    avr_cycle_timer_register(chip->avr, BIT_CYCLES, break_off, chip);
  }
}

static void on_bus(avr_irq_t *irq, uint32_t value, void *param)
{
  chip_i2c *chip = param;
  avr_twi_msg_irq_t bus = {.u.v = value};
  (void)irq;
  if (bus.u.twi.msg & TWI_COND_STOP) {
    end_transfer(chip);
  }
  if (bus.u.twi.msg & TWI_COND_START) {
    end_transfer(chip);
    if (hears(chip, bus.u.twi.addr)) {
      chip->is_addressed = 1;
      chip->is_reading = bus.u.twi.addr & 1;
      answer(chip, TWI_COND_ACK, 1);
    }
    return;
  }
  if (!chip->is_addressed) {
    return;
  }
  if (bus.u.twi.msg & TWI_COND_WRITE) {
    if (chip->is_plugged) {
      take_byte(chip, bus.u.twi.data);
    }
  } else if (bus.u.twi.msg & TWI_COND_READ) {
    give_byte(chip);
  }
}

void chip_i2c_attach(chip_i2c *chip)
{
  avr_irq_register_notify(avr_io_getirq(chip->avr, AVR_IOCTL_TWI_GETIRQ(0), TWI_IRQ_OUTPUT),
                          on_bus, chip);
}

int chip_i2c_command(chip_i2c *chip, const char *text)
{
  double number = 0.0;
  if (sscanf(text, "deaf %lf", &number) == 1) {
    chip->deaf_until_ns = bench_now_ns() + (uint64_t)(number * (double)NS_A_MS);
    return 0;
  }
  if (sscanf(text, "spoil %u", &chip->spoil) == 1) {
    return 0;
  }
  if (sscanf(text, "noise %lf", &number) == 1) {
    chip->noise = (unsigned)number;
    return 0;
  }
  return -1;
}
