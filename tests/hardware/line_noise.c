/*
 * How often line noise makes a frame that was not sent pass its CRC: a large count, by hand.
 *
 *     cc -O2 -Ihardware/common/src tests/hardware/line_noise.c hardware/common/src/hw_packet.c -lm
 *     ./a.out FRAMES BIT_ERROR_RATE SEED ROWS_A_FRAME [random]
 *
 * A board with two channels of a ten-bit converter (or random numbers of 16 bits), description and
 * status after every hundred frames. A stretch of frames is written by the core and sent again and
 * again, every time with other bits flipped; frames without damage in or beside them are bound to
 * be read and are passed over. The rest is cut at its zeros and judged.
 *
 *     changed    pieces that COBS lets through and that were not sent: accepted without a CRC
 *     accepted   those with a good CRC, by what happened to them:
 *       front    the front part of a frame in which a byte has become a zero
 *       rear     a piece that begins where no frame began
 *       whole    begins and ends where a frame did: a length byte was hit, or a zero between frames
 *     rows       accepted as samples of whole rows; of those
 *     strange    ... with rows, number or clock that were not sent
 *     status     accepted as a status
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw_packet.h"

#define N_FRAMES 20000u
#define N_MORE 8u /* behind the last, which may run into them */
#define N_PASSES 10u /* with the same frames */
#define ROOM ((N_FRAMES + N_MORE) * 300u)
#define HEAD 7u
#define ROW 4u

static uint8_t sent[ROOM];
static size_t starts[N_FRAMES + N_MORE + 1u];
static uint8_t came[16 * 1024];
static struct {
  unsigned long hit, changed, accepted, front, rear, whole, rows, strange, status;
} count;

static uint64_t random_state[2];

/* xorshift128+ (Vigna 2017, doi:10.1016/j.cam.2016.11.006). */
static uint64_t any(void)
{
  uint64_t a = random_state[0];
  uint64_t b = random_state[1];
  random_state[0] = b;
  a ^= a << 23;
  random_state[1] = a ^ b ^ (a >> 18) ^ (b >> 5);
  return random_state[1] + b;
}

/* Bits up to the next that is flipped. */
static uint64_t gap(double log_kept)
{
  return 1u + (uint64_t)(log(((double)(any() >> 11) + 0.5) / 9007199254740992.0) / log_kept);
}

static int32_t next_count(int32_t last, int at_random)
{
  int32_t next = last + (int32_t)(any() % 21u) - 10;
  if (at_random) {
    return (int32_t)(any() & 0xFFFFu) - 32768;
  }
  return next < 0 ? 0 : next > 1023 ? 1023 : next;
}

static uint16_t write_samples(uint8_t *out, uint16_t sequence, uint32_t clock_us, unsigned n_rows,
                              int at_random)
{
  static int32_t counts[2] = {512, 512};
  hw_frame frame;
  unsigned i;
  hw_begin(&frame, out, HW_MAX_LINE, HW_SAMPLES, sequence, clock_us);
  for (i = 0; i < 2u * n_rows; i++) {
    counts[i % 2u] = next_count(counts[i % 2u], at_random);
    hw_i16(&frame, (int16_t)counts[i % 2u]);
  }
  return hw_end(&frame);
}

static void write_frames(unsigned n_rows, int at_random)
{
  static const hw_channel channels[2] = {
      {HW_I16, 1000.0f, 0.0f, "ecg_mv", "II"},
      {HW_I16, 2.0f, 100.0f, "resp_au", ""},
  };
  hw_description description = {250000u, "board", "1.0", channels, 2};
  uint16_t sequence = (uint16_t)any();
  uint32_t clock_us = (uint32_t)any();
  size_t at = 0;
  size_t i;
  for (i = 0; i < N_FRAMES + N_MORE; i++) {
    uint8_t *out = sent + at;
    starts[i] = at;
    if (i % 102u == 0) {
      at += hw_put_description(out, HW_MAX_LINE, sequence, clock_us, &description);
    } else if (i % 102u == 1) {
      at += hw_put_status(out, HW_MAX_LINE, sequence, clock_us, 0, 88);
    } else {
      at += write_samples(out, sequence++, clock_us, n_rows, at_random);
      clock_us += 4000u * n_rows;
    }
  }
  starts[i] = at;
}

static int crc_is_good(const uint8_t *plain, uint16_t n)
{
  uint16_t crc = 0xFFFFu;
  uint16_t i;
  for (i = 0; i + 2u < n; i++) {
    crc = hw_crc16(crc, plain[i]);
  }
  return crc == (uint16_t)(plain[n - 2u] | plain[n - 1u] << 8);
}

/* What passed: `plain`, from `n_line` bytes at `begin`, where frames first..last were sent. */
static void classify(const uint8_t *plain, uint16_t n, size_t begin, uint16_t n_line, size_t first,
                     size_t last)
{
  static uint8_t was[HW_MAX_LINE];
  unsigned is_rows = plain[0] == HW_SAMPLES && n > HEAD + 2u && (n - HEAD - 2u) % ROW == 0;
  size_t at = first;
  uint16_t n_was;
  while (at < last && starts[at + 1] <= begin) {
    at++;
  }
  n_was = hw_unstuff(sent + starts[at], (uint16_t)(starts[at + 1] - starts[at] - 1u), was);
  count.accepted++;
  count.rear += begin != starts[at];
  count.front += begin == starts[at] && begin + n_line + 1u < starts[at + 1];
  count.whole += begin == starts[at] && begin + n_line + 1u >= starts[at + 1];
  count.status += plain[0] == HW_STATUS;
  count.rows += is_rows;
  if (is_rows) {
    count.strange += n > n_was || memcmp(plain, was, n - 2u) != 0;
  }
}

static void judge(const uint8_t *piece, uint16_t n_line, size_t begin, size_t first, size_t last)
{
  static uint8_t plain[HW_MAX_LINE];
  size_t i;
  uint16_t n;
  for (i = first; i <= last; i++) {
    if (starts[i] == begin && starts[i + 1] == begin + n_line + 1u &&
        memcmp(sent + begin, piece, n_line) == 0) {
      return;
    }
  }
  n = hw_unstuff(piece, n_line, plain);
  if (n < HEAD + 2u) {
    return;
  }
  count.changed++;
  if (crc_is_good(plain, n)) {
    classify(plain, n, begin, n_line, first, last);
  }
}

/* Damage frame `first` and those that run together with it; return the next bit to be flipped. */
static uint64_t damage(size_t first, uint64_t bit, double log_kept, size_t *next)
{
  size_t begin = starts[first];
  size_t last = first;
  size_t at;
  size_t n;
  memcpy(came, sent + begin, sizeof came < ROOM - begin ? sizeof came : ROOM - begin);
  while (bit < 8u * starts[last + 1]) {
    came[bit / 8u - begin] ^= (uint8_t)(1u << bit % 8u);
    /* Where the zero at its end is hit, the frame behind belongs to it. */
    if (bit / 8u == starts[last + 1] - 1u && last < N_FRAMES + N_MORE - 1u) {
      last++;
    }
    bit += gap(log_kept);
  }
  n = starts[last + 1] - begin;
  count.hit++;
  for (at = 0; at < n;) {
    const uint8_t *end = memchr(came + at, 0, n - at);
    size_t n_line = end ? (size_t)(end - came) - at : n - at;
    if (end && n_line > 0 && n_line < HW_MAX_LINE) {
      judge(came + at, (uint16_t)n_line, begin + at, first, last);
    }
    at += n_line + 1u;
  }
  *next = last + 1u;
  return bit;
}

int main(int argc, char **argv)
{
  double n_frames = argc > 4 ? atof(argv[1]) : 0.0;
  double log_kept = argc > 4 ? log1p(-atof(argv[2])) : -1.0;
  double n_sent = 0.0;
  unsigned pass = 0;
  if (argc < 5) {
    fprintf(stderr, "FRAMES BIT_ERROR_RATE SEED ROWS_A_FRAME [random]\n");
    return 2;
  }
  random_state[0] = strtoull(argv[3], NULL, 10) * 0x9E3779B97F4A7C15u + 1u;
  random_state[1] = ~random_state[0];
  for (; n_sent < n_frames; n_sent += N_FRAMES) {
    size_t at = 0;
    uint64_t bit = gap(log_kept) - 1u;
    if (pass++ % N_PASSES == 0) {
      write_frames((unsigned)atoi(argv[4]), argc > 5);
    }
    while (bit < 8u * starts[N_FRAMES]) {
      while (8u * starts[at + 1] <= bit) {
        at++;
      }
      bit = damage(at, bit, log_kept, &at);
    }
  }
  printf("frames %.0f bytes %.1f hit %lu changed %lu accepted %lu\n", n_sent,
         (double)starts[N_FRAMES] / N_FRAMES, count.hit, count.changed, count.accepted);
  printf("front %lu rear %lu whole %lu rows %lu strange %lu status %lu\n", count.front, count.rear,
         count.whole, count.rows, count.strange, count.status);
  return 0;
}
