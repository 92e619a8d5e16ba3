/*
 * An ADS1292R ECG and respiration front end behind SPI: commands, registers and waits, strictly.
 *
 * Data sheet Texas Instruments SBAS502: "SPI Command Definitions", "Data Retrieval". Registers and
 * the waits after power and reset are from public drivers. Rows of the file: channel 2, channel 1,
 * 24 bits each with a sign.
 *
 * Wired to: CS D10, DRDY D2, PWDN/RESET D4, START D5. Commands besides those of chip_bus.h:
 * `off MASK`, the electrodes that are off: RLD 16, IN2N 8, IN2P 4, IN1N 2, IN1P 1. `brown` is so
 * short here that it converts again at once, as it does after a reset.
 *
 * `cut N` pulls it out behind N bytes of the next transfer.
 *
 * simavr takes 100 us for a byte over SPI, whatever the clock, and tells us of it at its end. From
 * one byte to the next that is taken off, and what the clock would make of it is put in its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chip_bus.h"

#include <stdlib.h>
#include <string.h>

#include <simavr/avr_ioport.h>
#include <simavr/avr_spi.h>

#define NAME "ads1292r"
#define SPCR 0x4C
#define SPSR 0x4D
#define TCLK_NS (1e9 / 512000.0)
#define FOUR_TCLK_NS (4.0 * TCLK_NS)
#define RESTART_NS (18.0 * TCLK_NS)
#define TMOD_NS (4.0 * TCLK_NS)
#define OFF_NS (1024.0 * TMOD_NS) /* PWDN low for so long switches it off: 2^10 tMOD */
/* One second after power, in the data sheet's flow; before the half of it (2^18 tCLK, says a
 * driver) nothing is heard. */
#define POWER_UP_NS 1e9
#define DEAF_NS 512e6
#define REFERENCE_NS 150e6
#define FRAME 9
#define SIMAVR_BYTE_NS 100000.0

enum {
  ID, CONFIG1, CONFIG2, LOFF, CH1SET, CH2SET, RLD_SENS, LOFF_SENS, LOFF_STAT, RESP1, RESP2, GPIO,
  N_REGS
};
enum { RDATAC = 0x10, SDATAC = 0x11, RDATA = 0x12, RREG = 0x20, WREG = 0x40 };

static chip_samples samples;
static avr_t *board;
static uint8_t regs[N_REGS];
static int is_plugged, is_selected, is_started, is_low_reset, is_new, has_converted;
static int is_continuous, is_wished_continuous; /* the mode after a reset; by command */
static double powered_ns, reset_low_ns, restarted_ns, reference_ns, last_byte_ns;
static uint8_t off_mask, part;
static uint8_t output[FRAME], latched[FRAME];
static unsigned n_bytes, command, first_reg, n_left, cut_after;

static double now(void)
{
  return (double)bench_now_ns();
}

static void set_drdy(uint32_t level)
{
  avr_raise_irq(avr_io_getirq(board, AVR_IOCTL_IOPORT_GETIRQ('D'), 2), level);
}

static void reset_registers(void)
{
  static const uint8_t defaults[N_REGS] = {0, 0x02, 0x80, 0x10, 0x00, 0x00,
                                           0x00, 0x00, 0x00, 0x00, 0x02, 0x0C};
  chip_samples_stop(&samples);
  memcpy(regs, defaults, sizeof regs);
  regs[ID] = part;
  is_continuous = 1; /* "This mode is the default mode at power-up" */
  is_wished_continuous = 0;
  is_new = has_converted = 0;
  restarted_ns = now();
  set_drdy(1);
}

/* ---- Conversions ----------------------------------------------------------------------------- */

static void put_24(uint8_t *bytes, double value)
{
  uint32_t count = (uint32_t)(int32_t)value;
  bytes[0] = (uint8_t)(count >> 16);
  bytes[1] = (uint8_t)(count >> 8);
  bytes[2] = (uint8_t)count;
}

static void convert(void)
{
  uint8_t sensed = regs[CONFIG2] & 0x40 ? regs[LOFF_SENS] & 0x0F : 0;
  uint8_t electrodes = off_mask & (sensed | (regs[RLD_SENS] & 0x10));
  uint32_t status = 0xC00000u | (uint32_t)electrodes << 15;
  memset(output, 0, sizeof output);
  put_24(output, (double)status);
  if (!(regs[CH1SET] & 0x80)) {
    put_24(output + 3, (double)samples.row[1]);
  }
  if (!(regs[CH2SET] & 0x80)) {
    put_24(output + 6, (double)samples.row[0]);
  }
  if (is_new) {
    bench_event("lost", (double)(samples.n_rows - 2));
  }
  is_new = has_converted = 1;
  set_drdy(1); /* it pulses high where nobody read */
  set_drdy(0);
}

static void check_settings(void)
{
  static const struct {
    uint8_t reg, mask, value;
  } fixed[] = {
      {CONFIG1, 0xF8, 0x00}, {CONFIG2, 0x84, 0x80}, {LOFF, 0x12, 0x10},
      {LOFF_SENS, 0xC0, 0x00}, {RESP1, 0x02, 0x02}, {RESP2, 0x79, 0x01},
  };
  for (unsigned i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    if ((regs[fixed[i].reg] & fixed[i].mask) != fixed[i].value) {
      chip_fault(NAME, "register %u is 0x%02X: bits that are fixed are not so", fixed[i].reg,
                 regs[fixed[i].reg]);
    }
  }
  if (!(regs[CONFIG2] & 0x20) || now() - reference_ns < REFERENCE_NS) {
    chip_fault(NAME, "started before the reference has settled");
  }
  if (now() - powered_ns < POWER_UP_NS) {
    chip_fault(NAME, "started less than 1 s after power");
  }
}

/* tSETTLE is four conversions and a little. */
static void begin_conversions(double after_ns)
{
  double rate_hz = 125.0 * (double)(1u << (regs[CONFIG1] & 7));
  chip_samples_start(&samples, rate_hz, 4.1 + after_ns * rate_hz / 1e9);
}

static void set_start(int level)
{
  int was = is_started;
  is_started = level;
  if (level == was || !is_plugged || is_low_reset) {
    return;
  }
  if (!level) {
    chip_samples_stop(&samples);
    is_new = has_converted = 0;
    set_drdy(1);
    return;
  }
  check_settings();
  begin_conversions(0.0);
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void write_register(unsigned reg, uint8_t value)
{
  if (reg == ID || reg == LOFF_STAT || reg >= N_REGS) {
    chip_fault(NAME, "register %u cannot be written", reg);
    return;
  }
  if (reg == CONFIG2 && (value & 0x20) && !(regs[CONFIG2] & 0x20)) {
    reference_ns = now();
  }
  if (is_started) {
    chip_fault(NAME, "register %u was written while converting", reg);
  }
  regs[reg] = value;
}

/* "DRDY returns to high on the first SCLK falling edge"; what was read does not change while it is
 * read ("the read operation can overlap the occurrence of the next DRDY without data corruption"
 * with RDATA; of RDATAC nobody says so). */
static void latch(void)
{
  if (!has_converted && (command == RDATA || is_wished_continuous)) {
    chip_fault(NAME, "data were read before there are any");
  }
  is_new = 0;
  bench_event("looked", 1.0);
  memcpy(latched, output, sizeof latched);
  set_drdy(1);
}

static void take_command(uint8_t value)
{
  command = value;
  if (is_continuous && value != SDATAC) {
    /* After a power failure that it cannot know of, the firmware may send anything. */
    if (value != 0 && is_wished_continuous) {
      chip_fault(NAME, "command 0x%02X while it reads data continuously", value);
    }
    command = 0;
    latch();
  } else if (value == SDATAC) {
    is_continuous = is_wished_continuous = 0;
  } else if (value == RDATAC) {
    is_continuous = is_wished_continuous = 1;
  } else if (value == RDATA) {
    latch();
  } else if ((value & 0xE0) == RREG || (value & 0xE0) == WREG) {
    first_reg = value & 0x1F;
  } else {
    chip_fault(NAME, "command 0x%02X is not known", value);
  }
}

static uint8_t take_more(uint8_t value)
{
  uint8_t out = 0;
  unsigned kind = command & 0xE0;
  if (kind != RREG && kind != WREG) {
    return 0;
  }
  if (n_bytes == 1) {
    n_left = (value & 0x1Fu) + 1;
    return 0;
  }
  if (n_left == 0 || first_reg >= N_REGS) {
    chip_fault(NAME, "more bytes than registers");
    return 0;
  }
  if (kind == RREG) {
    out = regs[first_reg];
  } else {
    write_register(first_reg, value);
  }
  first_reg++;
  n_left--;
  return out;
}

/* Time of a byte by the clock the processor's SPI is set to. */
static double byte_ns(void)
{
  static const unsigned divisors[] = {4, 16, 64, 128};
  double divisor = divisors[board->data[SPCR] & 3];
  return 8.0 * divisor / (board->data[SPSR] & 1 ? 2.0 : 1.0) * 1e9 / 16e6;
}

static int is_right_mode(void)
{
  uint8_t mode = board->data[SPCR] & 0x2C; /* DORD, CPOL, CPHA */
  if (mode != 0x04) {
    chip_fault(NAME, "SPI is not in mode 1, highest bit first (SPCR & 0x2C = 0x%02X)", mode);
  }
  return mode == 0x04;
}

static uint8_t exchange(uint8_t value)
{
  uint8_t out;
  double since_ns = now() - last_byte_ns;
  last_byte_ns = now();
  if (!is_right_mode()) {
    return 0x5A;
  }
  if (now() - restarted_ns < RESTART_NS) {
    chip_fault(NAME, "a command less than 18 tCLK after the reset");
  }
  if (n_bytes == 0) {
    take_command(value);
    out = is_continuous ? latched[0] : 0;
  } else if (is_continuous) {
    out = latched[n_bytes % FRAME];
  } else if (command == RDATA) {
    out = latched[(n_bytes - 1) % FRAME]; /* no wait needed, says "RDATA: Read Data" */
  } else {
    double real_ns = since_ns - SIMAVR_BYTE_NS + byte_ns();
    if (real_ns < FOUR_TCLK_NS) {
      chip_fault(NAME, "%.2f us from byte to byte of a command", real_ns / 1e3);
    }
    out = take_more(value);
  }
  n_bytes++;
  return out;
}

static void unplug(void)
{
  is_plugged = 0;
  cut_after = 0;
  reset_registers();
}

static void on_spi(avr_irq_t *irq, uint32_t value, void *param)
{
  uint8_t out = 0xFF; /* nobody drives the wire */
  (void)irq;
  (void)param;
  if (is_plugged && is_selected && !is_low_reset && now() - powered_ns >= DEAF_NS) {
    out = exchange((uint8_t)value);
    if (cut_after > 0 && n_bytes == cut_after) {
      unplug();
    }
  }
  avr_raise_irq(avr_io_getirq(board, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_INPUT), out);
}

/* ---- Pins ------------------------------------------------------------------------------------ */

static void on_cs(avr_irq_t *irq, uint32_t value, void *param)
{
  int selected = !(value & 1);
  (void)irq;
  (void)param;
  if (is_selected && !selected && is_plugged && n_bytes > 0) {
    if (now() - last_byte_ns < FOUR_TCLK_NS) {
      chip_fault(NAME, "CS went high %.2f us after the last byte", (now() - last_byte_ns) / 1e3);
    }
    if ((command & 0xE0) != 0 && n_left > 0) {
      chip_fault(NAME, "CS went high within a command");
    }
  }
  if (selected != is_selected) {
    n_bytes = command = n_left = 0;
  }
  is_selected = selected;
}

static void on_reset(avr_irq_t *irq, uint32_t value, void *param)
{
  int low = !(value & 1);
  (void)irq;
  (void)param;
  if (low == is_low_reset) {
    return;
  }
  is_low_reset = low;
  if (low) {
    reset_low_ns = now();
  } else if (is_plugged && now() - powered_ns >= DEAF_NS) {
    double low_ns = now() - reset_low_ns;
    if (low_ns < TMOD_NS || low_ns > OFF_NS) {
      chip_fault(NAME, "RESET was low for %.1f us", low_ns / 1e3);
    }
    reset_registers();
  }
}

static void on_start(avr_irq_t *irq, uint32_t value, void *param)
{
  (void)irq;
  (void)param;
  set_start((int)(value & 1));
}

static void listen(char port, int pin, avr_irq_notify_t notify)
{
  avr_irq_register_notify(avr_io_getirq(board, AVR_IOCTL_IOPORT_GETIRQ(port), pin), notify, NULL);
}

/* ---- Bench ----------------------------------------------------------------------------------- */

static void power_on(void)
{
  powered_ns = now();
  reference_ns = 0.0;
  reset_registers();
}

int chip_ads1292r_attach(avr_t *avr, const char *args)
{
  board = avr;
  part = (uint8_t)bench_arg_number(args, "part", 0x73);
  is_plugged = bench_arg_number(args, "absent", 0) == 0;
  if (chip_samples_open(&samples, avr, NAME, args, 2, convert) != 0) {
    return -1;
  }
  avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT), on_spi,
                          NULL);
  listen('B', 2, on_cs);
  listen('D', 4, on_reset);
  listen('D', 5, on_start);
  power_on();
  return 0;
}

void chip_ads1292r_reset(avr_t *avr)
{
  (void)avr;
  chip_samples_resume(&samples);
}

void chip_ads1292r_command(avr_t *avr, const char *text)
{
  int mask;
  (void)avr;
  if (chip_samples_command(&samples, text) == 0) {
    return;
  }
  if (strcmp(text, "unplug") == 0) {
    unplug();
  } else if (sscanf(text, "cut %u", &cut_after) == 1) {
    return;
  } else if (strcmp(text, "plug") == 0) {
    is_plugged = 1;
    power_on();
    if (is_started) {
      begin_conversions(DEAF_NS);
    }
  } else if (strcmp(text, "brown") == 0) {
    reset_registers();
    if (is_started) {
      begin_conversions(0.0);
    }
  } else if (sscanf(text, "off %d", &mask) == 1) {
    off_mask = (uint8_t)mask;
  } else {
    chip_fault(NAME, "what is \"%s\"?", text);
  }
}
