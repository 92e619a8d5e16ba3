/*
 * What every Homeward board does, whatever it measures: see hw_board.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hw_board.h"

#include <stddef.h>

#define LARGEST_I16 32767L
#define NAN_BITS 0x7FC00000uL

/* Send what was made in board->out; 0 bytes: it did not fit. */
static void send(hw_board *board, uint16_t n)
{
  if (n == 0) {
    board->n_frames_too_long++;
    return;
  }
  board->write(board->out, n);
}

static void send_status(hw_board *board, uint32_t clock_us)
{
  send(board, hw_put_status(board->out, sizeof board->out, board->sequence, clock_us,
                            board->lead_off, board->battery_pct));
}

void hw_board_describe(hw_board *board, uint32_t clock_us)
{
  board->described_us = clock_us;
  send(board, hw_put_description(board->out, sizeof board->out, board->sequence, clock_us,
                                 &board->description));
  send_status(board, clock_us);
}

/* Send the begun frame of samples, if there is one. */
static void send_samples(hw_board *board)
{
  uint16_t n;
  if (board->n_rows == 0) {
    return;
  }
  n = hw_end(&board->frame);
  board->n_rows = 0;
  board->sequence++; /* also where it was too long: the hole shows that it is lost */
  if (n == 0) {
    board->n_frames_too_long++;
    return;
  }
  board->write(board->samples, n);
}

void hw_board_begin(hw_board *board, const hw_description *description, hw_write write,
                    hw_set_rate set_rate, uint8_t rows_a_frame, uint32_t clock_us)
{
  static const uint8_t zero = 0;
  board->description = *description;
  board->write = write;
  board->set_rate = set_rate;
  board->rows_a_frame = rows_a_frame;
  board->lead_off = 0;
  board->battery_pct = HW_NO_BATTERY;
  board->stopped = 0;
  board->n_rows = 0;
  board->missed = 0;
  board->sequence = 0;
  board->n_frames_too_long = 0;
  board->inbox.n = 0;
  board->inbox.full = 0;
  write(&zero, 1); /* ends whatever noise the line made while switching on */
  hw_board_describe(board, clock_us);
}

static void put_i16(hw_frame *frame, int32_t count)
{
  int16_t narrow = HW_NONE_I16;
  if (count > LARGEST_I16) {
    narrow = (int16_t)LARGEST_I16;
  } else if (count >= -LARGEST_I16) {
    narrow = (int16_t)count;
  } else if (count != HW_NONE_I32) {
    narrow = (int16_t)-LARGEST_I16;
  }
  hw_i16(frame, narrow);
}

static void put_count(hw_frame *frame, uint8_t type, int32_t count)
{
  if (type == HW_I16) {
    put_i16(frame, count);
  } else if (type != HW_F32) {
    hw_i32(frame, count);
  } else if (count == HW_NONE_I32) {
    hw_u32(frame, NAN_BITS);
  } else {
    hw_f32(frame, (float)count);
  }
}

void hw_board_row(hw_board *board, const int32_t *row, uint32_t clock_us)
{
  uint8_t i;
  if (board->stopped) {
    return;
  }
  if (board->n_rows == 0) {
    hw_begin(&board->frame, board->samples, sizeof board->samples, HW_SAMPLES, board->sequence,
             clock_us);
  }
  for (i = 0; i < board->description.n_channels; i++) {
    put_count(&board->frame, board->description.channels[i].type, row[i]);
  }
  board->n_rows++;
  board->missed = 0;
  if (board->n_rows >= board->rows_a_frame) {
    send_samples(board);
  }
}

void hw_board_missed(hw_board *board)
{
  if (board->stopped || board->missed) {
    return;
  }
  send_samples(board);
  board->sequence++;
  board->missed = 1;
}

void hw_board_status(hw_board *board, uint8_t lead_off, uint8_t battery_pct, uint32_t clock_us)
{
  if (lead_off == board->lead_off && battery_pct == board->battery_pct) {
    return;
  }
  board->lead_off = lead_off;
  board->battery_pct = battery_pct;
  send_status(board, clock_us);
}

/* Sample at another rate, if the board can; return what to answer. */
static uint8_t change_rate(hw_board *board, uint32_t rate_mhz)
{
  if (rate_mhz == 0) {
    return HW_REFUSED;
  }
  if (board->set_rate == NULL) {
    return rate_mhz == board->description.rate_mhz ? HW_DONE : HW_REFUSED;
  }
  if (!board->set_rate(rate_mhz)) {
    return HW_REFUSED;
  }
  board->description.rate_mhz = rate_mhz;
  return HW_DONE;
}

/* Change what the board is to do; return what to answer. */
static uint8_t obey(hw_board *board, const hw_command *command)
{
  switch (command->code) {
    case HW_DESCRIBE:
      return HW_DONE;
    case HW_START:
      board->stopped = 0;
      return HW_DONE;
    case HW_STOP:
      board->stopped = 1;
      return HW_DONE;
    case HW_RATE:
      return change_rate(board, command->rate_mhz);
    default:
      return HW_UNKNOWN;
  }
}

void hw_board_take(hw_board *board, uint8_t byte, uint32_t clock_us)
{
  hw_command command;
  uint8_t result;
  if (!hw_take(&board->inbox, byte, &command)) {
    return;
  }
  result = obey(board, &command);
  send(board, hw_put_answer(board->out, sizeof board->out, board->sequence, clock_us, &command,
                            result, board->stopped ? 0 : board->description.rate_mhz));
  if (result != HW_DONE) {
    return;
  }
  if (command.code == HW_STOP || command.code == HW_RATE) {
    send_samples(board);
  }
  if (command.code != HW_STOP) {
    hw_board_describe(board, clock_us);
  }
}

void hw_board_idle(hw_board *board, uint32_t clock_us)
{
  if ((uint32_t)(clock_us - board->described_us) >= HW_DESCRIBE_EVERY_US) {
    hw_board_describe(board, clock_us);
  }
}
