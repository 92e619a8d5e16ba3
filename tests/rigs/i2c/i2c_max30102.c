/* SPDX-License-Identifier: Apache-2.0
 *
 * The MAX30102 as far as its registers show: data sheet 19-7740 rev 1. It samples in real time, by
 * its own clock. The red count of sample i since the process began is i modulo 200000, the infrared
 * one 200000 less that, so that a test sees from the values alone which sample it was.
 */
#include "i2c_chips.h"

#define FIFO_DEPTH 32u
#define LOST_MOST 0x1Fu
#define SAMPLE_BYTES 6u
#define COUNTS 200000u
#define RESET_S 0.001

enum { WR_PTR = 0x04, OVF_COUNTER = 0x05, RD_PTR = 0x06, FIFO_DATA = 0x07, FIFO_CONFIG = 0x08 };
enum { MODE = 0x09, SPO2_CONFIG = 0x0A, PART_ID = 0xFF };
enum { SHDN = 0x80, RESET = 0x40, SPO2 = 0x03, ROLLOVER = 0x10 };

static struct {
  bool powered, samples;
  long cut;
  uint8_t at;          /* register pointer */
  uint8_t regs[256];
  uint32_t fifo[FIFO_DEPTH];
  unsigned n, write, read, lost;
  uint8_t out[SAMPLE_BYTES];
  unsigned out_at;     /* next byte of the sample that is being read */
  double began_s, reset_s;
  unsigned long made;  /* samples since it began to sample */
  uint32_t next;       /* number of the next sample since the process began */
} max;

static double max_rate_hz(void) {
  static const unsigned rates_hz[] = {50, 100, 200, 400, 800, 1000, 1600, 3200};
  static const unsigned averaged[] = {1, 2, 4, 8, 16, 32, 32, 32};
  double nominal_hz = rates_hz[max.regs[SPO2_CONFIG] >> 2 & 7];

  nominal_hz /= averaged[max.regs[FIFO_CONFIG] >> 5];
  return nominal_hz * (1.0 + (double)control.max30102_ppm * 1e-6);
}

static void max_push(void) {
  uint32_t sample = max.next++;

  if (max.n == FIFO_DEPTH) {
    if (!(max.regs[FIFO_CONFIG] & ROLLOVER)) {
      if (max.lost < LOST_MOST) {
        max.lost++;
      }
      say("max30102 lost %lu", (unsigned long)sample);
      return;
    }
    max.read = (max.read + 1) % FIFO_DEPTH;
    max.n--;
  }
  max.fifo[max.write] = sample;
  max.write = (max.write + 1) % FIFO_DEPTH;
  max.n++;
}

static void max_pop(void) {
  uint32_t red, infrared;

  if (max.n > 0) {
    red = max.fifo[max.read] % COUNTS;
    infrared = COUNTS - red;
    max.read = (max.read + 1) % FIFO_DEPTH;
    max.n--;
    max.lost = 0;
    max.out[0] = (uint8_t)(red >> 16);
    max.out[1] = (uint8_t)(red >> 8);
    max.out[2] = (uint8_t)red;
    max.out[3] = (uint8_t)(infrared >> 16);
    max.out[4] = (uint8_t)(infrared >> 8);
    max.out[5] = (uint8_t)infrared;
  }
}

static void max_stop(const char *why) {
  if (max.samples) {
    say("max30102 %s next=%lu fifo=%u", why, (unsigned long)max.next, max.n);
  }
  max.samples = false;
}

static void max_clear(void) {
  unsigned i;

  for (i = 0; i < 256; i++) {
    max.regs[i] = 0;
  }
  max.regs[PART_ID] = (uint8_t)control.max30102_part;
  max.n = max.write = max.read = max.lost = max.out_at = 0;
  max.at = 0;
}

static void max_sample(void) {
  double due = (now_s() - max.began_s) * max_rate_hz();

  while ((double)(max.made + 1) <= due) {
    max.made++;
    max_push();
  }
}

static void max_live(void) {
  bool wanted = control.max30102_plugged != 0;

  if (max.samples && !control.max30102_stuck) {
    max_sample(); /* it has sampled until now, whatever comes next */
  }
  if (!wanted || max.cut != control.max30102_cut) {
    max_stop("off");
    max.powered = false;
    max.cut = control.max30102_cut;
  }
  if (wanted && !max.powered) {
    max_clear();
    max.powered = true;
    say("max30102 on");
  }
  max.regs[PART_ID] = (uint8_t)control.max30102_part;
}

static void max_set_mode(uint8_t value) {
  bool wanted = !(value & SHDN) && (value & 7) == SPO2;

  if (value & RESET) {
    max_stop("reset");
    max_clear();
    max.reset_s = now_s() + RESET_S;
    return;
  }
  max.regs[MODE] = value;
  if (wanted && !max.samples) {
    max.samples = true;
    max.began_s = now_s();
    max.made = 0;
    say("max30102 samples next=%lu", (unsigned long)max.next);
  } else if (!wanted) {
    max_stop("rests");
  }
}

static void max_write_one(uint8_t at, uint8_t value) {
  if (at == WR_PTR || at == RD_PTR) {
    *(at == WR_PTR ? &max.write : &max.read) = value % FIFO_DEPTH;
    max.n = (max.write - max.read) % FIFO_DEPTH;
    max.out_at = 0;
  } else if (at == OVF_COUNTER) {
    max.lost = value & LOST_MOST;
  } else if (at == MODE) {
    max_set_mode(value);
  } else if (at != PART_ID) {
    max.regs[at] = value;
  }
}

static uint8_t max_read_one(uint8_t at) {
  switch (at) {
    case WR_PTR:
      return (uint8_t)max.write;
    case OVF_COUNTER:
      return (uint8_t)max.lost;
    case RD_PTR:
      return (uint8_t)max.read;
    case MODE:
      return now_s() < max.reset_s ? RESET : max.regs[MODE];
    case FIFO_DATA:
      if (max.out_at == 0) {
        max_pop(); /* the read pointer moves at the first byte of a sample */
      }
      at = max.out[max.out_at];
      max.out_at = (max.out_at + 1) % SAMPLE_BYTES;
      return control.max30102_high ? 0xFF : at;
    default:
      return max.regs[at];
  }
}

/* The register pointer goes on by itself, but not from the FIFO and not from the last one. */
static void max_move_on(void) {
  if (max.at != FIFO_DATA && max.at != PART_ID) {
    max.at++;
  }
}

static bool max_answers(unsigned address) { return address == 0x57 && max.powered; }

static void max_write(const uint8_t *bytes, size_t n) {
  size_t i;

  max.at = bytes[0];
  for (i = 1; i < n; i++) {
    max_write_one(max.at, bytes[i]);
    max_move_on();
  }
}

static void max_read(uint8_t *bytes, size_t n) {
  size_t i;

  for (i = 0; i < n; i++) {
    bytes[i] = max_read_one(max.at);
    max_move_on();
  }
}

static void max_end(void) { max_stop("end"); }

const struct chip max30102 = {max_live, max_answers, max_write, max_read, max_end};
