/*
 * The serial frame of Homeward boards (hardware/PACKET.md), written and read.
 *
 * Stuffing is done while a frame is written: the length byte of the open block is left out and
 * put in its place when the block ends, so that no second buffer is needed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hw_packet.h"

#include <stddef.h>

#define HEAD_BYTES 7u
#define CRC_BYTES 2u
#define CRC_START 0xFFFFu
#define FULL_BLOCK 255u /* 254 bytes and their length byte */
#define VERSION 1u      /* of the description */
#define LONGEST_TEXT 31u

uint16_t hw_crc16(uint16_t crc, uint8_t byte)
{
  /* The eight steps of the polynomial at once: it has few taps, so that no table is needed. In
   * halves, because a processor of eight bits shifts 16 bits by 12 in a loop. */
  uint8_t x = (uint8_t)((crc >> 8) ^ byte);
  uint8_t high;
  uint8_t low;
  x = (uint8_t)(x ^ (x >> 4));
  high = (uint8_t)((crc & 0xFFu) ^ (uint8_t)(x << 4) ^ (x >> 3));
  low = (uint8_t)((uint8_t)(x << 5) ^ x);
  return (uint16_t)((uint16_t)((uint16_t)high << 8) | low);
}

static void store(hw_frame *frame, uint8_t byte)
{
  if (frame->n < frame->size) {
    frame->out[frame->n++] = byte;
  } else {
    frame->full = 1;
  }
}

/* Close the open block and open the next. */
static void next_block(hw_frame *frame)
{
  frame->out[frame->code_at] = (uint8_t)(frame->n - frame->code_at);
  frame->code_at = frame->n;
  store(frame, 0);
}

void hw_u8(hw_frame *frame, uint8_t value)
{
  if (frame->full) {
    return;
  }
  frame->crc = hw_crc16(frame->crc, value);
  if (value == 0) {
    next_block(frame);
    return;
  }
  store(frame, value);
  if ((uint16_t)(frame->n - frame->code_at) == FULL_BLOCK) {
    next_block(frame);
  }
}

void hw_u16(hw_frame *frame, uint16_t value)
{
  hw_u8(frame, (uint8_t)(value & 0xFFu));
  hw_u8(frame, (uint8_t)(value >> 8));
}

void hw_u32(hw_frame *frame, uint32_t value)
{
  hw_u16(frame, (uint16_t)(value & 0xFFFFu));
  hw_u16(frame, (uint16_t)(value >> 16));
}

void hw_i16(hw_frame *frame, int16_t value)
{
  hw_u16(frame, (uint16_t)value);
}

void hw_i32(hw_frame *frame, int32_t value)
{
  hw_u32(frame, (uint32_t)value);
}

static uint32_t float_bits(float value)
{
  union {
    float value;
    uint32_t bits;
  } same;
  same.value = value;
  return same.bits;
}

void hw_f32(hw_frame *frame, float value)
{
  hw_u32(frame, float_bits(value));
}

void hw_f64(hw_frame *frame, float value)
{
  uint32_t bits = float_bits(value);
  uint32_t fraction = bits & 0x7FFFFFuL;
  uint16_t exponent = (uint16_t)((bits >> 23) & 0xFFu);
  uint16_t sign = (bits >> 31) ? 0x8000u : 0u;
  if (exponent == 0xFFu) {
    exponent = 0x7FFu; /* infinite, or no number */
  } else if (exponent != 0) {
    exponent = (uint16_t)(exponent + (1023u - 127u));
  } else if (fraction != 0) {
    /* Smaller than a float's smallest exponent; a double has room for it. */
    exponent = 1023u - 127u + 1u;
    while ((fraction & 0x800000uL) == 0) {
      fraction <<= 1;
      exponent--;
    }
    fraction &= 0x7FFFFFuL;
  }
  hw_u32(frame, fraction << 29);
  hw_u16(frame, (uint16_t)(fraction >> 3));
  hw_u16(frame, (uint16_t)(sign | (uint16_t)(exponent << 4) | (uint16_t)(fraction >> 19)));
}

void hw_text(hw_frame *frame, const char *text)
{
  uint8_t n = 0;
  uint8_t i;
  while (text != NULL && n < LONGEST_TEXT && text[n] != '\0') {
    n++;
  }
  hw_u8(frame, n);
  for (i = 0; i < n; i++) {
    uint8_t byte = (uint8_t)text[i];
    /* One letter that is not ASCII would make the whole description unreadable. */
    hw_u8(frame, byte < 128u ? byte : (uint8_t)'?');
  }
}

void hw_begin(hw_frame *frame, uint8_t *out, uint16_t size, uint8_t type, uint16_t sequence,
              uint32_t clock_us)
{
  frame->out = out;
  /* A receiver drops what is longer. */
  frame->size = size < HW_MAX_LINE ? size : HW_MAX_LINE;
  frame->n = 0;
  frame->code_at = 0;
  frame->crc = CRC_START;
  frame->full = 0;
  store(frame, 0);
  hw_u8(frame, type);
  hw_u16(frame, sequence);
  hw_u32(frame, clock_us);
}

uint16_t hw_end(hw_frame *frame)
{
  hw_u16(frame, frame->crc);
  if (frame->full || frame->n >= frame->size) {
    return 0;
  }
  frame->out[frame->code_at] = (uint8_t)(frame->n - frame->code_at);
  frame->out[frame->n++] = 0;
  return frame->n;
}

uint16_t hw_put_description(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                            const hw_description *description)
{
  hw_frame frame;
  uint8_t i;
  hw_begin(&frame, out, size, HW_DESCRIPTION, sequence, clock_us);
  hw_u8(&frame, VERSION);
  hw_u8(&frame, 0); /* flags: the clock is the board's own */
  hw_u32(&frame, description->rate_mhz);
  hw_u8(&frame, description->n_channels);
  hw_text(&frame, description->device);
  hw_text(&frame, description->firmware);
  for (i = 0; i < description->n_channels; i++) {
    const hw_channel *channel = &description->channels[i];
    hw_u8(&frame, channel->type);
    hw_f64(&frame, channel->gain);
    hw_f64(&frame, channel->baseline);
    hw_text(&frame, channel->signal);
    hw_text(&frame, channel->lead);
  }
  return hw_end(&frame);
}

uint16_t hw_put_status(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                       uint8_t lead_off, uint8_t battery_pct)
{
  hw_frame frame;
  hw_begin(&frame, out, size, HW_STATUS, sequence, clock_us);
  hw_u8(&frame, lead_off);
  hw_u8(&frame, battery_pct);
  return hw_end(&frame);
}

uint16_t hw_put_answer(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                       const hw_command *command, uint8_t result, uint32_t rate_mhz)
{
  hw_frame frame;
  hw_begin(&frame, out, size, HW_ANSWER, sequence, clock_us);
  hw_u8(&frame, command->code);
  hw_u16(&frame, command->sequence);
  hw_u8(&frame, result);
  hw_u32(&frame, rate_mhz);
  return hw_end(&frame);
}

uint16_t hw_unstuff(const uint8_t *in, uint16_t n, uint8_t *out)
{
  uint16_t at = 0;
  uint16_t written = 0;
  while (at < n) {
    uint8_t code = in[at++];
    uint8_t left;
    if (code == 0) {
      return 0;
    }
    for (left = (uint8_t)(code - 1u); left != 0; left--) {
      if (at >= n || in[at] == 0) {
        return 0;
      }
      out[written++] = in[at++];
    }
    if (code != FULL_BLOCK && at < n) {
      out[written++] = 0;
    }
  }
  return written;
}

static uint16_t read_u16(const uint8_t *bytes)
{
  return (uint16_t)(bytes[0] | (uint16_t)((uint16_t)bytes[1] << 8));
}

/* Read the command in a whole frame; return 0 where it is none. */
static uint8_t read_command(uint8_t *bytes, uint8_t n_line, hw_command *command)
{
  uint8_t n = (uint8_t)hw_unstuff(bytes, n_line, bytes);
  uint16_t crc = CRC_START;
  uint8_t i;
  if (n < HEAD_BYTES + 1u + CRC_BYTES) {
    return 0;
  }
  n = (uint8_t)(n - CRC_BYTES);
  for (i = 0; i < n; i++) {
    crc = hw_crc16(crc, bytes[i]);
  }
  if (crc != read_u16(&bytes[n]) || bytes[0] != HW_COMMAND) {
    return 0;
  }
  command->code = bytes[HEAD_BYTES];
  command->sequence = read_u16(&bytes[1]);
  command->rate_mhz = 0;
  if (command->code == HW_RATE && n >= HEAD_BYTES + 5u) {
    command->rate_mhz = read_u16(&bytes[HEAD_BYTES + 1u]) |
                        (uint32_t)read_u16(&bytes[HEAD_BYTES + 3u]) << 16;
  }
  return 1;
}

uint8_t hw_take(hw_inbox *inbox, uint8_t byte, hw_command *command)
{
  uint8_t n;
  if (byte != 0) {
    /* One byte of the room is the zero's. */
    if (inbox->n < HW_MAX_COMMAND - 1u) {
      inbox->bytes[inbox->n++] = byte;
    } else {
      inbox->full = 1;
    }
    return 0;
  }
  n = inbox->full ? 0u : inbox->n;
  inbox->n = 0;
  inbox->full = 0;
  return read_command(inbox->bytes, n, command);
}
