/*
 * A MAX30102 pulse oximeter sensor in SpO2 mode: registers and FIFO, strictly.
 *
 * Data sheet Maxim 19-7740, of which the pages on the FIFO were read; the rest is from public
 * drivers, and which rates go with which pulses from memory. Rows of the file: red, infrared, 18
 * bits each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chip_bus.h"

#include <string.h>

#define NAME "max30102"
#define DEPTH 32
#define RESET_NS 500000ull /* it clears itself; the data sheet gives no time */
#define RESET_BIT 0x40
#define SHUTDOWN_BIT 0x80
#define SPO2_MODE 3

enum {
  STATUS_1 = 0x00, ENABLE_1 = 0x02, ENABLE_2 = 0x03, WRITE_PTR = 0x04, OVERFLOWS = 0x05,
  READ_PTR = 0x06, DATA = 0x07, FIFO_CONFIG = 0x08, MODE = 0x09, SPO2_CONFIG = 0x0A,
  LED1 = 0x0C, LED2 = 0x0D, PROX_LED = 0x10, SLOTS_1 = 0x11, SLOTS_2 = 0x12, REVISION = 0xFE,
  PART = 0xFF
};

static chip_samples samples;
static chip_i2c bus;
static uint8_t part;
static uint8_t regs[256];
static uint32_t fifo[DEPTH][2];
static unsigned n_waiting, byte_at;
static uint32_t popped[2];
static uint64_t reset_until_ns;

static int is_resetting(void)
{
  return bench_now_ns() < reset_until_ns;
}

static void power_on(void)
{
  chip_samples_stop(&samples);
  memset(regs, 0, sizeof regs);
  regs[STATUS_1] = 1; /* PWR_RDY */
  regs[REVISION] = 3;
  regs[PART] = part;
  n_waiting = byte_at = 0;
  reset_until_ns = 0;
}

/* ---- FIFO ------------------------------------------------------------------------------------ */

static void lose(void)
{
  regs[OVERFLOWS] = regs[OVERFLOWS] < 31 ? regs[OVERFLOWS] + 1 : 31;
  bench_event("lost", (double)(samples.n_rows - 1));
}

static void convert(void)
{
  if (n_waiting == DEPTH) {
    lose();
    if (!(regs[FIFO_CONFIG] & 0x10)) {
      return;
    }
    regs[READ_PTR] = (regs[READ_PTR] + 1) % DEPTH;
    n_waiting--;
  }
  for (unsigned i = 0; i < 2; i++) {
    fifo[regs[WRITE_PTR]][i] = (uint32_t)samples.row[i];
  }
  regs[WRITE_PTR] = (regs[WRITE_PTR] + 1) % DEPTH;
  n_waiting++;
}

static uint8_t pop_byte(void)
{
  if (byte_at == 0) {
    if (n_waiting == 0) {
      chip_fault(NAME, "FIFO_DATA was read where nothing waits");
      return 0;
    }
    memcpy(popped, fifo[regs[READ_PTR]], sizeof popped);
    /* "The FIFO read pointer is automatically incremented after the first byte of each sample." */
    regs[READ_PTR] = (regs[READ_PTR] + 1) % DEPTH;
    regs[OVERFLOWS] = 0;
    n_waiting--;
  }
  /* The six bits above the 18 are not used, and nobody says that they are zero. */
  uint32_t word = popped[byte_at / 3] | 0xFC0000u;
  uint8_t value = (uint8_t)(word >> (16 - 8 * (byte_at % 3)));
  byte_at = (byte_at + 1) % 6;
  return value;
}

/* ---- Registers ------------------------------------------------------------------------------- */

static void check_spo2_config(void)
{
  /* Highest rate (code) for pulses of 69, 118, 215, 411 us with two lamps. */
  static const uint8_t highest[] = {6, 5, 4, 3};
  uint8_t rate = (regs[SPO2_CONFIG] >> 2) & 7, width = regs[SPO2_CONFIG] & 3;
  if (rate > highest[width]) {
    chip_fault(NAME, "rate code %u is not allowed with pulse width code %u", rate, width);
  }
  if (width != 3) {
    chip_fault(NAME, "pulse width code %u gives less than the file's 18 bits", width);
  }
}

static void start(void)
{
  static const double rates[] = {50, 100, 200, 400, 800, 1000, 1600, 3200};
  unsigned averaged = 1u << (regs[FIFO_CONFIG] >> 5);
  double rate_hz = rates[(regs[SPO2_CONFIG] >> 2) & 7];
  check_spo2_config();
  if (regs[WRITE_PTR] || regs[READ_PTR] || regs[OVERFLOWS]) {
    chip_fault(NAME, "FIFO pointers were not cleared upon entering SpO2 mode");
  }
  if (!regs[LED1] || !regs[LED2]) {
    chip_fault(NAME, "a lamp has no current");
  }
  chip_samples_start(&samples, rate_hz / (averaged > 32 ? 32 : averaged), 1.0);
}

static void set_mode(uint8_t value)
{
  if (value & RESET_BIT) {
    power_on();
    reset_until_ns = bench_now_ns() + RESET_NS;
    return;
  }
  regs[MODE] = value;
  if (value == 0 || value & SHUTDOWN_BIT) {
    chip_samples_stop(&samples);
  } else if (value == SPO2_MODE) {
    start();
  } else {
    chip_fault(NAME, "mode 0x%02X is not SpO2 mode", value);
  }
}

static uint8_t allowed_bits(uint8_t reg)
{
  switch (reg) {
    case ENABLE_1: return 0xE0;
    case ENABLE_2: return 0x02;
    case WRITE_PTR: case OVERFLOWS: case READ_PTR: return 0x1F;
    case MODE: return 0xC7;
    case SPO2_CONFIG: return 0x7F;
    case SLOTS_1: case SLOTS_2: return 0x77;
    case FIFO_CONFIG: case LED1: case LED2: case PROX_LED: return 0xFF;
    default: return 0;
  }
}

static void write(uint8_t reg, uint8_t value)
{
  if (is_resetting()) {
    chip_fault(NAME, "0x%02X was written before the reset was done", reg);
    return;
  }
  if (value & ~allowed_bits(reg) || allowed_bits(reg) == 0) {
    chip_fault(NAME, "0x%02X cannot be written to 0x%02X", value, reg);
    return;
  }
  if (reg == MODE) {
    set_mode(value);
    return;
  }
  regs[reg] = value;
  if (reg == WRITE_PTR || reg == READ_PTR) {
    n_waiting = (regs[WRITE_PTR] - regs[READ_PTR]) & (DEPTH - 1);
    byte_at = 0;
  }
}

static uint8_t read(uint8_t reg)
{
  if (reg == DATA) {
    return pop_byte();
  }
  if (reg == MODE && is_resetting()) {
    return RESET_BIT;
  }
  uint8_t value = regs[reg];
  if (reg == STATUS_1) {
    regs[STATUS_1] = 0;
  } else if (reg == WRITE_PTR) {
    bench_event("looked", (double)n_waiting);
  }
  return value;
}

static uint8_t next(uint8_t reg)
{
  return reg == DATA ? DATA : (uint8_t)(reg + 1);
}

static void ended(uint8_t n_read)
{
  (void)n_read;
  if (byte_at != 0 && !bus.is_spoilt) {
    chip_fault(NAME, "a transfer ended within a sample");
  }
  byte_at = 0;
}

/* ---- Bench ----------------------------------------------------------------------------------- */

int chip_max30102_attach(avr_t *avr, const char *args)
{
  bus = (chip_i2c){.avr = avr, .name = NAME, .address = 0x57, .read = read, .write = write,
                   .next = next, .ended = ended};
  part = (uint8_t)bench_arg_number(args, "part", 0x15);
  bus.is_plugged = bench_arg_number(args, "absent", 0) == 0;
  if (chip_samples_open(&samples, avr, NAME, args, 2, convert) != 0) {
    return -1;
  }
  power_on();
  chip_i2c_attach(&bus);
  return 0;
}

void chip_max30102_reset(avr_t *avr)
{
  (void)avr;
  chip_samples_resume(&samples);
}

void chip_max30102_command(avr_t *avr, const char *text)
{
  (void)avr;
  if (chip_i2c_command(&bus, text) == 0 || chip_samples_command(&samples, text) == 0) {
    return;
  }
  if (strcmp(text, "unplug") == 0) {
    bus.is_plugged = 0;
    power_on(); /* as it will be when it comes back */
  } else if (strcmp(text, "plug") == 0) {
    bus.is_plugged = 1;
  } else if (strcmp(text, "brown") == 0) {
    power_on();
  } else {
    chip_fault(NAME, "what is \"%s\"?", text);
  }
}
