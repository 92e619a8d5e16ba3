/*
 * Random calls of the C core, N rounds of them from a seed: for a build with -fsanitize=..., and
 * what is written must be read back.
 *
 *     core_random N SEED
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw_board.h"

static hw_board board;

static void give_up(const char *why)
{
  fprintf(stderr, "core_random: %s\n", why);
  exit(2);
}

static uint16_t crc_of(const uint8_t *from, size_t n)
{
  uint16_t crc = 0xFFFFu;
  size_t i;
  for (i = 0; i < n; i++) {
    crc = hw_crc16(crc, from[i]);
  }
  return crc;
}

static uint32_t random_state;

/* Numerical Recipes' generator; its high bits. */
static uint32_t any(uint32_t below)
{
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % below;
}

/* Random bytes, zeros among them often, into what reads them; in place, into just enough room. */
static void read_anything(void)
{
  uint16_t n = (uint16_t)any(600);
  uint8_t *in = malloc(n + 1u);
  hw_inbox inbox = {{0}, 0, 0};
  hw_command command;
  uint16_t i;
  for (i = 0; i < n; i++) {
    uint32_t kind = any(8);
    in[i] = (uint8_t)(kind == 0 ? 0 : kind == 1 ? 255 : kind < 5 ? any(20) : any(256));
    (void)hw_take(&inbox, in[i], &command);
  }
  if (hw_unstuff(in, n, in) > n) {
    give_up("unstuffed more than there was");
  }
  free(in);
}

/* A frame written into any room: it fits, or is refused; what fits is read back. */
static void write_anything(void)
{
  uint16_t room = (uint16_t)any(1100);
  uint16_t n_body = (uint16_t)any(1100);
  uint8_t *out = malloc(room ? room : 1u);
  uint8_t *body = malloc(n_body + 1u);
  uint8_t zeros = (uint8_t)any(40);
  hw_frame frame;
  uint16_t i;
  uint16_t n;
  hw_begin(&frame, out, room, (uint8_t)any(256), (uint16_t)any(65536), any(1uL << 24) << 8);
  for (i = 0; i < n_body; i++) {
    body[i] = any(40) < zeros ? 0 : (uint8_t)any(256);
    hw_u8(&frame, body[i]);
  }
  n = hw_end(&frame);
  if (n == 0 && room >= n_body + n_body / 254u + 12u && n_body < 1000u) {
    give_up("a frame that fits was refused");
  }
  if (n != 0) {
    if (out[n - 1] != 0 || memchr(out, 0, n) != out + n - 1) {
      give_up("a zero inside a frame");
    }
    n = hw_unstuff(out, (uint16_t)(n - 1u), out);
    if (n != n_body + 9u || memcmp(out + 7, body, n_body) != 0 ||
        crc_of(out, n - 2u) != (uint16_t)(out[n - 2] | out[n - 1] << 8)) {
      give_up("a frame did not come back");
    }
  }
  free(out);
  free(body);
}

static void swallow(const uint8_t *from, uint16_t n)
{
  (void)crc_of(from, n);
}

/* A board that is handed anything. */
static void live_anyhow(void)
{
  static hw_channel channels[4] = {
      {HW_I16, 1000.0f, 0.0f, "ecg_mv", "II"},
      {HW_I32, -2.5f, 1e6f, "resp_au", ""},
      {HW_F32, 1.0f, -0.5f, "temp_degc", "finger"},
      {HW_I16, 1e-9f, 3.0f, "accel_g", "x"},
  };
  hw_description description = {250000, "random", NULL, channels, 0};
  unsigned i;
  description.n_channels = (uint8_t)(1u + any(4));
  hw_board_begin(&board, &description, swallow, NULL, (uint8_t)any(256), any(1uL << 24) << 8);
  for (i = 0; i < 300; i++) {
    int32_t counts[4];
    unsigned c;
    for (c = 0; c < 4; c++) {
      counts[c] = (int32_t)(any(1uL << 16) << (any(3) * 8u));
    }
    hw_board_row(&board, counts, any(1uL << 24) << 8);
    hw_board_take(&board, (uint8_t)(any(10) == 0 ? 0 : any(256)), any(1uL << 24) << 8);
    if (any(50) == 0) {
      hw_board_missed(&board);
      hw_board_status(&board, (uint8_t)any(4), (uint8_t)any(101), 5);
      hw_board_idle(&board, any(1uL << 24) << 8);
    }
  }
}

static int at_random(unsigned long n_rounds, uint32_t seed)
{
  unsigned long i;
  random_state = seed;
  for (i = 0; i < n_rounds; i++) {
    read_anything();
    write_anything();
    if (i % 16 == 0) {
      live_anyhow();
    }
  }
  printf("%lu rounds\n", n_rounds);
  return 0;
}

int main(int argc, char **argv)
{
  if (argc != 3) {
    give_up("N SEED");
  }
  return at_random(strtoul(argv[1], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
}
