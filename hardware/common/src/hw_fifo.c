/*
 * A sensor with a FIFO, polled: see hw_fifo.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hw_fifo.h"

#include <stddef.h>

static void tell_status(hw_fifo *fifo)
{
  uint8_t off = 0;
  if (fifo->silent) {
    off = (uint8_t)((1u << fifo->board->description.n_channels) - 1u);
  } else if (fifo->chip->off != NULL) {
    off = fifo->chip->off();
  }
  hw_board_status(fifo->board, off, HW_NO_BATTERY, fifo->now_us());
}

static void set_up(hw_fifo *fifo, uint32_t rate_mhz)
{
  fifo->tried_us = fifo->now_us();
  fifo->there = fifo->chip->set_up(rate_mhz);
  if (!fifo->there) {
    fifo->silent = 1;
  }
  fifo->asked_us = fifo->heard_us = fifo->empty_us = fifo->now_us();
  fifo->hole = 0;
  hw_pace_begin(&fifo->pace, rate_mhz);
}

void hw_fifo_begin(hw_fifo *fifo, hw_board *board, const hw_fifo_chip *chip,
                   uint32_t (*now_us)(void))
{
  fifo->board = board;
  fifo->chip = chip;
  fifo->now_us = now_us;
  fifo->silent = 0;
  set_up(fifo, board->description.rate_mhz);
}

/* Hand over n samples that wait; 0 = some of them are lost. */
static uint8_t hand_over(hw_fifo *fifo, uint8_t n)
{
  const uint8_t n_channels = fifo->board->description.n_channels;
  int32_t rows[HW_FIFO_ROWS * HW_MAX_CHANNELS];
  while (n > 0) {
    uint8_t got = fifo->chip->take(rows, n < HW_FIFO_ROWS ? n : HW_FIFO_ROWS);
    uint8_t i;
    if (got == 0) {
      return 0;
    }
    for (i = 0; i < got; i++) {
      hw_board_row(fifo->board, &rows[i * n_channels], hw_pace_next(&fifo->pace));
    }
    n = (uint8_t)(n - got);
  }
  return 1;
}

static void read_out(hw_fifo *fifo)
{
  uint8_t n = 0, overflowed = 0;
  uint32_t before_us = fifo->now_us(), after_us;
  if (!fifo->chip->look(&n, &overflowed)) {
    return;
  }
  after_us = fifo->now_us();
  if (n > 0) {
    if (fifo->hole && hw_pace_skip(&fifo->pace, n, fifo->empty_us, after_us) > 0) {
      hw_board_missed(fifo->board);
    }
    hw_pace_fit(&fifo->pace, n, fifo->empty_us, after_us);
    fifo->hole = 1;
    if (!hand_over(fifo, n)) {
      return;
    }
    fifo->hole = overflowed;
    fifo->silent = 0;
    fifo->heard_us = after_us;
  }
  fifo->empty_us = before_us;
}

void hw_fifo_run(hw_fifo *fifo)
{
  uint32_t now_us = fifo->now_us();
  if (!fifo->there) {
    if (now_us - fifo->tried_us >= HW_FIFO_RETRY_US) {
      set_up(fifo, fifo->board->description.rate_mhz);
    }
  } else if (now_us - fifo->asked_us >= HW_FIFO_LOOK_US) {
    fifo->asked_us = now_us;
    read_out(fifo);
    if (fifo->now_us() - fifo->heard_us >= HW_FIFO_GONE_US) {
      hw_board_missed(fifo->board);
      fifo->there = 0;
      fifo->silent = 1;
      fifo->tried_us = (uint32_t)(now_us - HW_FIFO_RETRY_US); /* look for it at once */
    }
  }
  tell_status(fifo);
}

void hw_fifo_change_rate(hw_fifo *fifo, uint32_t rate_mhz)
{
  if (fifo->there) {
    read_out(fifo);
    hw_board_missed(fifo->board);
  }
  set_up(fifo, rate_mhz);
}
