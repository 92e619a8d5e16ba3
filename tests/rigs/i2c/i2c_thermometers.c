/* SPDX-License-Identifier: Apache-2.0
 *
 * MLX90614 (data sheet 3901090614) and TMP117 (data sheet SNOSD82D) as far as their registers show.
 */
#include "i2c_chips.h"

#define FIRST_S 0.125 /* the TMP117's first conversion, mean of eight */
#define CYCLE_S 1.0

static struct {
  uint8_t command;
} mlx;

static struct {
  bool powered, ready;
  uint8_t at;
  uint16_t configuration, result;
  double next_s;
} tmp;

static uint8_t crc8(const uint8_t *bytes, size_t n) {
  uint8_t crc = 0;
  size_t i;
  int bit;

  for (i = 0; i < n; i++) {
    crc ^= bytes[i];
    for (bit = 0; bit < 8; bit++) {
      crc = (uint8_t)(crc & 0x80 ? (crc << 1) ^ 0x07 : crc << 1);
    }
  }
  return crc;
}

static void mlx_read(uint8_t *bytes, size_t n) {
  unsigned address = (unsigned)control.mlx90614_address;
  unsigned word = mlx.command == 0x07   ? (unsigned)control.mlx90614_object
                  : mlx.command == 0x06 ? (unsigned)control.mlx90614_ambient
                                        : 0u;
  uint8_t wire[6] = {(uint8_t)(address << 1), mlx.command, (uint8_t)(address << 1 | 1),
                     (uint8_t)word, (uint8_t)(word >> 8), 0};
  size_t i;

  wire[5] = (uint8_t)(crc8(wire, 5) ^ control.mlx90614_pec_xor);
  for (i = 0; i < n; i++) {
    bytes[i] = i < 3 ? wire[3 + i] : 0xFF;
  }
}

static void tmp_live(void) {
  if (!control.tmp117_plugged) {
    tmp.powered = false;
  } else if (!tmp.powered) {
    tmp.powered = true;
    tmp.ready = false;
    tmp.at = 0;
    tmp.configuration = 0x0220;
    tmp.result = 0x8000;
    tmp.next_s = now_s() + FIRST_S;
  }
  while (tmp.powered && !control.tmp117_stuck && now_s() >= tmp.next_s) {
    tmp.next_s += CYCLE_S;
    tmp.ready = true;
    tmp.result = (uint16_t)control.tmp117_raw;
  }
}

static void tmp_write(const uint8_t *bytes, size_t n) {
  tmp.at = bytes[0];
  if (n == 3 && tmp.at == 0x01) {
    tmp.configuration = (uint16_t)((bytes[1] << 8 | bytes[2]) & 0x0FFC);
    tmp.ready = false;
    tmp.next_s = now_s() + FIRST_S;
  }
}

static void tmp_read(uint8_t *bytes, size_t n) {
  uint16_t word = 0;
  size_t i;

  if (tmp.at == 0x00) {
    word = tmp.result;
    tmp.ready = false;
  } else if (tmp.at == 0x01) {
    word = (uint16_t)(tmp.configuration | (tmp.ready ? 1 << 13 : 0));
    tmp.ready = false;
  } else if (tmp.at == 0x0F) {
    word = (uint16_t)control.tmp117_device;
  }
  for (i = 0; i < n; i++) {
    bytes[i] = (uint8_t)(i % 2 ? word : word >> 8);
  }
}

static bool tmp_answers(unsigned address) { return address == 0x48 && tmp.powered; }

static bool mlx_answers(unsigned address) {
  return control.mlx90614_plugged && address == (unsigned)control.mlx90614_address;
}

static void mlx_write(const uint8_t *bytes, size_t n) {
  if (n == 1) {
    mlx.command = bytes[0];
  }
}

static void nothing(void) {}

const struct chip mlx90614 = {nothing, mlx_answers, mlx_write, mlx_read, nothing};
const struct chip tmp117 = {tmp_live, tmp_answers, tmp_write, tmp_read, nothing};
