/*
 * The same calls of the C core on any machine, and a digest of every byte it made: a processor with
 * integers of 16 bits and doubles of four bytes must come to the same digests as a large one.
 *
 * On an ATmega328P it also says how many cycles the calls take that are made for every sample.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hw_board.h"

static uint32_t digest;
static uint32_t random_state;

#ifdef __AVR__
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

static void put(char letter)
{
  while (!(UCSR0A & (1 << UDRE0))) {
  }
  UDR0 = (uint8_t)letter;
}
#else
#include <stdio.h>

static void put(char letter)
{
  putchar(letter);
}
#endif

static void say(const char *name, uint32_t value)
{
  int8_t at;
  while (*name != '\0') {
    put(*name++);
  }
  put(' ');
  for (at = 28; at >= 0; at = (int8_t)(at - 4)) {
    put("0123456789ABCDEF"[(value >> at) & 15u]);
  }
  put('\n');
}

/* FNV-1a. */
static void add(const uint8_t *bytes, uint16_t n)
{
  uint16_t i;
  for (i = 0; i < n; i++) {
    digest = (uint32_t)((digest ^ bytes[i]) * 16777619uL);
  }
}

static void add_number(uint32_t value)
{
  uint8_t i;
  for (i = 0; i < 4; i++) {
    uint8_t byte = (uint8_t)(value >> (8u * i));
    add(&byte, 1);
  }
}

/* Numerical Recipes' generator; its high bits. */
static uint16_t any(uint16_t below)
{
  random_state = (uint32_t)(random_state * 1664525uL + 1013904223uL);
  return (uint16_t)(((random_state >> 8) & 0xFFFFFFuL) % below);
}

static uint32_t any_32(void)
{
  uint32_t high = any(65535u);
  return high << 16 | any(65535u);
}

static uint8_t any_byte(void)
{
  return (uint8_t)any(256);
}

static void begin_part(void)
{
  digest = 2166136261uL;
  random_state = 4;
}

static uint8_t room[420];

static void digest_frames(void)
{
  uint8_t round;
  begin_part();
  for (round = 0; round < 60; round++) {
    uint16_t n_body = any(420);
    uint16_t zeros = any(30);
    uint16_t i;
    uint16_t sequence = any(65535u);
    uint32_t clock_us = any_32(); /* not as an argument: those have no order */
    uint16_t n;
    hw_frame frame;
    hw_begin(&frame, room, sizeof room, round, sequence, clock_us);
    for (i = 0; i < n_body; i++) {
      uint8_t byte = any_byte();
      hw_u8(&frame, any(30) < zeros ? 0u : byte);
    }
    n = hw_end(&frame);
    add_number(n);
    add(room, n);
    if (n != 0) {
      n = hw_unstuff(room, (uint16_t)(n - 1u), room);
      add_number(n);
      add(room, n);
    }
  }
  say("frames", digest);
}

static void digest_numbers(void)
{
  uint16_t round;
  begin_part();
  for (round = 0; round < 400; round++) {
    union {
      uint32_t bits;
      float value;
    } number;
    hw_frame frame;
    number.bits = any_32();
    if (round % 8 == 0) {
      number.bits &= 0x807FFFFFuL; /* smaller than a float's smallest exponent, and zero */
    }
    hw_begin(&frame, room, sizeof room, 1, round, 0);
    hw_f32(&frame, number.value);
    hw_f64(&frame, number.value);
    hw_i16(&frame, (int16_t)(number.bits >> 16));
    hw_i32(&frame, (int32_t)number.bits);
    add(room, hw_end(&frame));
  }
  say("numbers", digest);
}

static void digest_what_is_heard(void)
{
  uint16_t round;
  hw_inbox inbox = {{0}, 0, 0};
  hw_command command = {0, 0, 0};
  begin_part();
  for (round = 0; round < 300; round++) {
    uint8_t i;
    uint16_t n;
    hw_frame frame;
    hw_begin(&frame, room, sizeof room, HW_COMMAND, any(65535u), 0);
    hw_u8(&frame, (uint8_t)any(5));
    hw_u32(&frame, (uint32_t)any(65535u) << 8);
    for (i = (uint8_t)any(20); i != 0; i--) {
      hw_u8(&frame, any_byte());
    }
    n = hw_end(&frame);
    if (any(3) == 0) {
      uint16_t at = any(n);
      room[at] = (uint8_t)(room[at] ^ (1u << any(8)));
    }
    for (i = 0; i < n; i++) {
      add_number(hw_take(&inbox, room[i], &command));
    }
    add_number(command.code);
    add_number(command.sequence);
    add_number(command.rate_mhz);
  }
  say("heard", digest);
}

static const hw_channel channels[3] = {
    {HW_I16, 1000.0f, 512.0f, "ecg_mv", "II"},
    {HW_I32, -0.1f, 1e6f, "resp_au", ""},
    {HW_F32, 1.0f, -0.0f, "temp_degc", "finger"},
};
static hw_board board;

static uint8_t any_rate(uint32_t rate_mhz)
{
  return rate_mhz % 125000uL == 0;
}

static void digest_board(void)
{
  hw_description description = {250000uL, "digest", "1.0", channels, 3};
  uint16_t round;
  uint32_t clock_us = 0xFFF00000uL;
  begin_part();
  hw_board_begin(&board, &description, add, any_rate, 6, clock_us);
  for (round = 0; round < 600; round++) {
    int32_t row[3];
    uint8_t i;
    clock_us += 40000uL;
    for (i = 0; i < 3; i++) {
      uint32_t bits = any_32();
      row[i] = (int32_t)(bits >> any(17));
      if (any(20) == 0) {
        row[i] = HW_NONE_I32;
      }
    }
    hw_board_row(&board, row, clock_us);
    hw_board_idle(&board, clock_us);
    if (any(30) == 0) {
      hw_board_missed(&board);
      hw_board_status(&board, any_byte() & 3u, 88, clock_us);
    }
    if (any(25) == 0) {
      uint16_t n;
      hw_frame frame;
      hw_begin(&frame, room, sizeof room, HW_COMMAND, round, 0);
      hw_u8(&frame, (uint8_t)any(5));
      hw_u32(&frame, any_byte() & 1u ? 125000uL : 1000uL);
      n = hw_end(&frame);
      for (i = 0; i < n; i++) {
        hw_board_take(&board, room[i], clock_us);
      }
    }
  }
  add_number(board.n_frames_too_long);
  say("board", digest);
}

#ifdef __AVR__
static void drop(const uint8_t *bytes, uint16_t n)
{
  (void)bytes;
  (void)n;
}

/* Rows of two channels of 16 bits, ten a frame: the most a row takes, and the one that ends it. */
static void count_cycles(void)
{
  static const hw_channel two[2] = {
      {HW_I16, 1000.0f, 0.0f, "ecg_mv", "II"},
      {HW_I16, 2.0f, 100.0f, "resp_au", ""},
  };
  hw_description description = {250000uL, "board", "1.0", two, 2};
  uint16_t most_row = 0;
  uint16_t most_end = 0;
  uint16_t begin_at;
  uint16_t taken;
  uint8_t round;
  TCCR1A = 0;
  TCCR1B = 1 << CS10; /* counts cycles */
  begin_at = TCNT1;
  hw_board_begin(&board, &description, drop, 0, 10, 0);
  say("cycles_begin", (uint16_t)(TCNT1 - begin_at));
  for (round = 0; round < 200; round++) {
    int32_t row[2];
    row[0] = (int32_t)any(1024) - 512;
    row[1] = (int32_t)any(1024);
    begin_at = TCNT1;
    hw_board_row(&board, row, 4000uL * round);
    taken = (uint16_t)(TCNT1 - begin_at);
    if (round % 10 == 9) {
      most_end = taken > most_end ? taken : most_end;
    } else if (round % 10 != 0) {
      most_row = taken > most_row ? taken : most_row;
    } else {
      say("cycles_first", taken);
    }
  }
  say("cycles_row", most_row);
  say("cycles_last", most_end);
  begin_at = TCNT1;
  hw_board_take(&board, 0x55, 0);
  say("cycles_byte", (uint16_t)(TCNT1 - begin_at));
  begin_at = TCNT1;
  hw_board_idle(&board, 5);
  say("cycles_idle", (uint16_t)(TCNT1 - begin_at));
}
#endif

int main(void)
{
#ifdef __AVR__
  UCSR0B = 1 << TXEN0;
#endif
  digest_frames();
  digest_numbers();
  digest_what_is_heard();
  digest_board();
#ifdef __AVR__
  count_cycles();
  say("end", 0);
  cli();
  sleep_mode(); /* ends the simulation */
#endif
  return 0;
}
