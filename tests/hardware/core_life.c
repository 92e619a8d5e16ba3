/*
 * The life of one board, line by line; the answer to a line is what the board wrote, or a stroke.
 *
 *     begin CLOCK ROWS_A_FRAME RATES RATE DEVICE FIRMWARE CHANNEL...
 *     row CLOCK VALUE ...          missed        electrodes CLOCK LEAD_OFF BATTERY
 *     hears CLOCK BYTES            idle CLOCK    describe CLOCK
 *     lost                         frames that were too long
 *
 * RATES are those it can keep, `125000,250000`, or `-`: the hook for rates is left out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "core_text.h"

/* One board, and the sentence its names live in. */
static hw_board board;
static char board_line[MOST_TEXT];
static sentence board_said;
static hw_channel board_channels[MOST_CHANNELS];
static uint32_t board_rates[8];

static void board_writes(const uint8_t *from, uint16_t n)
{
  say_bytes(from, n);
}

static uint8_t board_has_rate(uint32_t rate_mhz)
{
  unsigned i;
  for (i = 0; i < 8; i++) {
    if (board_rates[i] == rate_mhz) {
      return 1;
    }
  }
  return 0;
}

static void begin(void)
{
  hw_description description;
  char *rates;
  unsigned n_rates = 0;
  cut(board_line, &board_said);
  description = read_description(&board_said, 4, board_channels);
  memset(board_rates, 0, sizeof board_rates);
  rates = board_said.word[3];
  while (rates[0] != '\0' && rates[0] != '-' && n_rates < 8) {
    board_rates[n_rates++] = (uint32_t)strtoul(rates, &rates, 10);
    rates += *rates == ',';
  }
  hw_board_begin(&board, &description, board_writes, n_rates ? board_has_rate : NULL,
                 (uint8_t)number(&board_said, 2), (uint32_t)number(&board_said, 1));
}

static void row(const sentence *said)
{
  int32_t counts[MOST_CHANNELS];
  unsigned i;
  for (i = 0; i < board.description.n_channels; i++) {
    const char *count = word(said, i + 2);
    counts[i] = strcmp(count, "none") == 0 ? (int32_t)HW_NONE_I32
                                           : (int32_t)strtol(count, NULL, 10);
  }
  hw_board_row(&board, counts, (uint32_t)number(said, 1));
}

int life(const sentence *said, const char *line)
{
  const char *what = word(said, 0);
  if (strcmp(what, "begin") == 0) {
    strcpy(board_line, line);
    begin();
  } else if (strcmp(what, "row") == 0) {
    row(said);
  } else if (strcmp(what, "missed") == 0) {
    hw_board_missed(&board);
  } else if (strcmp(what, "electrodes") == 0) {
    hw_board_status(&board, (uint8_t)number(said, 2), (uint8_t)number(said, 3),
                    (uint32_t)number(said, 1));
  } else if (strcmp(what, "hears") == 0) {
    uint16_t n = read_bytes(said, 2);
    uint16_t i;
    for (i = 0; i < n; i++) {
      hw_board_take(&board, bytes[i], (uint32_t)number(said, 1));
    }
  } else if (strcmp(what, "idle") == 0) {
    hw_board_idle(&board, (uint32_t)number(said, 1));
  } else if (strcmp(what, "describe") == 0) {
    hw_board_describe(&board, (uint32_t)number(said, 1));
  } else if (strcmp(what, "lost") == 0) {
    say_number(board.n_frames_too_long);
  } else {
    return 0;
  }
  if (!has_answer()) {
    say("-");
  }
  return 1;
}
