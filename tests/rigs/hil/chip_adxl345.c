/*
 * An ADXL345 accelerometer: registers and FIFO, strictly.
 *
 * Data sheet Analog Devices ADXL345 Rev. E as far as public drivers, AN-1025 and the data sheet of
 * its sister ADXL313 repeat it. Rows of the file: x, y, z in counts of full resolution. The extra
 * entry at the output filter, which may make 33, is left out: what it holds after an overflow is
 * not known.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chip_bus.h"

#include <string.h>

#define NAME "adxl345"
#define DEPTH 32
#define BETWEEN_READS_NS 5000ull
#define ADDRESS_NS 22500ull /* nine bits at 400 kHz, which the next read begins with */

enum {
  DEVID = 0x00, FIRST = 0x1D, BW_RATE = 0x2C, POWER_CTL = 0x2D, INT_ENABLE = 0x2E,
  INT_SOURCE = 0x30, DATA_FORMAT = 0x31, DATAX0 = 0x32, DATAZ1 = 0x37, FIFO_CTL = 0x38,
  FIFO_STATUS = 0x39
};
enum { BYPASS = 0, FIFO_MODE = 1, STREAM = 2 };

static chip_samples samples;
static chip_i2c bus;
static uint8_t part;
static uint8_t regs[64];
static int16_t fifo[DEPTH][3];
static unsigned n_waiting;
static uint8_t is_popping, latched[6];
static uint64_t popped_ns;

static unsigned mode(void)
{
  return regs[FIFO_CTL] >> 6;
}

static int is_measuring(void)
{
  return (regs[POWER_CTL] & 0x08) != 0;
}

static void power_on(void)
{
  chip_samples_stop(&samples);
  memset(regs, 0, sizeof regs);
  regs[DEVID] = part;
  regs[BW_RATE] = 0x0A;
  n_waiting = is_popping = 0;
}

static void drop_oldest(void)
{
  memmove(fifo[0], fifo[1], sizeof fifo - sizeof fifo[0]);
  n_waiting--;
}

static void convert(void)
{
  if (n_waiting == (mode() == BYPASS ? 1 : DEPTH)) {
    bench_event("lost", (double)(samples.n_rows - 1));
    if (mode() == FIFO_MODE) {
      return;
    }
    drop_oldest();
  }
  for (unsigned i = 0; i < 3; i++) {
    fifo[n_waiting][i] = (int16_t)samples.row[i];
  }
  n_waiting++;
}

static uint8_t read_data(uint8_t reg)
{
  if (!is_popping) {
    if (n_waiting == 0) {
      chip_fault(NAME, "data were read where none wait");
      return 0;
    }
    if (bench_now_ns() + ADDRESS_NS < popped_ns + BETWEEN_READS_NS) {
      chip_fault(NAME, "less than 5 us after the end of the last read");
    }
    is_popping = 1;
    for (unsigned i = 0; i < 3; i++) {
      latched[2 * i] = (uint8_t)((uint16_t)fifo[0][i] & 0xFF);
      latched[2 * i + 1] = (uint8_t)((uint16_t)fifo[0][i] >> 8);
    }
  }
  return latched[reg - DATAX0];
}

static uint8_t source(void)
{
  unsigned watermark = regs[FIFO_CTL] & 0x1F;
  return (uint8_t)((n_waiting > 0 ? 0x80 : 0) | (n_waiting >= watermark ? 0x02 : 0) |
                   (n_waiting == DEPTH ? 0x01 : 0));
}

static uint8_t read(uint8_t reg)
{
  if (reg >= sizeof regs || (reg > DEVID && reg < FIRST)) {
    chip_fault(NAME, "0x%02X is reserved", reg);
    return 0;
  }
  if (reg >= DATAX0 && reg <= DATAZ1) {
    return read_data(reg);
  }
  if (reg == INT_SOURCE) {
    return source();
  }
  if (reg == FIFO_STATUS) {
    bench_event("looked", (double)n_waiting);
    return (uint8_t)n_waiting;
  }
  return regs[reg];
}

static void set_power(uint8_t value)
{
  int was = is_measuring();
  regs[POWER_CTL] = value;
  if (value & ~0x08) {
    chip_fault(NAME, "POWER_CTL 0x%02X: sleep and links are not modelled", value);
  }
  if (is_measuring() && !was) {
    if ((regs[DATA_FORMAT] & 0x0F) != 0x0B) {
      chip_fault(NAME, "DATA_FORMAT 0x%02X is not full resolution of 16 g", regs[DATA_FORMAT]);
    }
    chip_samples_start(&samples, 3200.0 / (double)(1u << (15 - (regs[BW_RATE] & 0x0F))), 1.1);
  } else if (!is_measuring()) {
    chip_samples_stop(&samples);
  }
}

static void write(uint8_t reg, uint8_t value)
{
  if (reg < FIRST || reg > FIFO_CTL || reg == INT_SOURCE || (reg >= DATAX0 && reg <= DATAZ1)) {
    chip_fault(NAME, "0x%02X cannot be written", reg);
    return;
  }
  if (is_measuring() && (reg == BW_RATE || reg == DATA_FORMAT)) {
    chip_fault(NAME, "0x%02X was written while measuring, not in standby", reg);
  }
  if ((reg == BW_RATE && value & 0xE0) || (reg == DATA_FORMAT && value & 0xF4)) {
    chip_fault(NAME, "0x%02X: 0x%02X has bits that must be 0", reg, value);
  }
  if (reg == POWER_CTL) {
    set_power(value);
    return;
  }
  regs[reg] = value;
  if (reg == FIFO_CTL && mode() == BYPASS) {
    n_waiting = 0; /* bypass mode clears it */
  }
}

static uint8_t next(uint8_t reg)
{
  return (uint8_t)(reg + 1);
}

static void ended(uint8_t n_read)
{
  if (!is_popping) {
    return;
  }
  if (n_read != sizeof latched && !bus.is_spoilt) {
    chip_fault(NAME, "%u data bytes were read in one go and not 6", n_read);
  }
  is_popping = 0;
  popped_ns = bench_now_ns();
  if (n_waiting > 0) {
    drop_oldest();
  }
}

int chip_adxl345_attach(avr_t *avr, const char *args)
{
  bus = (chip_i2c){.avr = avr, .name = NAME, .read = read, .write = write, .next = next,
                   .ended = ended};
  bus.address = (uint8_t)bench_arg_number(args, "address", 0x53);
  part = (uint8_t)bench_arg_number(args, "part", 0xE5);
  bus.is_plugged = bench_arg_number(args, "absent", 0) == 0;
  if (chip_samples_open(&samples, avr, NAME, args, 3, convert) != 0) {
    return -1;
  }
  power_on();
  chip_i2c_attach(&bus);
  return 0;
}

void chip_adxl345_reset(avr_t *avr)
{
  (void)avr;
  chip_samples_resume(&samples);
}

void chip_adxl345_command(avr_t *avr, const char *text)
{
  (void)avr;
  if (chip_i2c_command(&bus, text) == 0 || chip_samples_command(&samples, text) == 0) {
    return;
  }
  if (strcmp(text, "unplug") == 0) {
    bus.is_plugged = 0;
    power_on();
  } else if (strcmp(text, "plug") == 0) {
    bus.is_plugged = 1;
  } else if (strcmp(text, "brown") == 0) {
    power_on();
  } else {
    chip_fault(NAME, "what is \"%s\"?", text);
  }
}
