/*
 * What the C core makes of a line of hardware/common/vectors.txt (the grammar is explained there).
 *
 *     core_says                  answers every line of the standard input with one line
 *     core_says --check FILE     compares every line `question = answer` of FILE; says what differs
 *
 * Beyond the grammar of the vectors it takes the lines of a board's life, see core_life.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core_text.h"

static void say_line(const uint8_t *line, uint16_t n)
{
  if (n == 0) {
    say("too long");
    return;
  }
  say_bytes(line, n);
}

static void put_value(hw_frame *frame, uint8_t type, const char *value)
{
  int none = strcmp(value, "none") == 0;
  if (type == HW_I16) {
    hw_i16(frame, none ? HW_NONE_I16 : (int16_t)strtol(value, NULL, 10));
  } else if (type == HW_I32) {
    hw_i32(frame, none ? (int32_t)HW_NONE_I32 : (int32_t)strtol(value, NULL, 10));
  } else {
    hw_f32(frame, strtof(none ? "nan" : value, NULL));
  }
}

/* SEQUENCE CLOCK TYPES VALUE ...; rows are parted by a stroke, which is for people. */
static uint16_t put_samples(uint8_t *out, uint16_t room, const sentence *said, unsigned at)
{
  const char *types = word(said, at + 2);
  const char *type = types;
  hw_frame frame;
  hw_begin(&frame, out, room, HW_SAMPLES, (uint16_t)number(said, at),
           (uint32_t)number(said, at + 1));
  for (at += 3; at < said->n; at++) {
    if (strcmp(said->word[at], "/") == 0) {
      continue;
    }
    put_value(&frame, number_type(type), said->word[at]);
    type = strchr(type, ',') ? strchr(type, ',') + 1 : types;
  }
  return hw_end(&frame);
}

static uint16_t put_any(uint8_t *out, uint16_t room, const sentence *said, unsigned at)
{
  uint16_t n = read_bytes(said, at + 3);
  uint16_t i;
  hw_frame frame;
  hw_begin(&frame, out, room, (uint8_t)number(said, at), (uint16_t)number(said, at + 1),
           (uint32_t)number(said, at + 2));
  for (i = 0; i < n; i++) {
    hw_u8(&frame, bytes[i]);
  }
  return hw_end(&frame);
}

static uint16_t put_answer(uint8_t *out, uint16_t room, const sentence *said, unsigned at)
{
  hw_command command;
  command.code = (uint8_t)number(said, at + 2);
  command.sequence = (uint16_t)number(said, at + 3);
  command.rate_mhz = 0;
  return hw_put_answer(out, room, (uint16_t)number(said, at), (uint32_t)number(said, at + 1),
                       &command, (uint8_t)number(said, at + 4), (uint32_t)number(said, at + 5));
}

/* Frames written; return 0 where the line asks for something else. */
static int written(const sentence *said)
{
  unsigned at = strcmp(word(said, 0), "room") == 0 ? 2 : 0;
  uint16_t room = at ? (uint16_t)number(said, 1) : (uint16_t)HW_MAX_LINE;
  const char *what = word(said, at);
  uint8_t *out = malloc(room ? room : 1u); /* so that a byte too many is found */
  uint16_t n = 0;
  int mine = 1;
  at++;
  if (strcmp(what, "description") == 0) {
    hw_channel channels[MOST_CHANNELS];
    hw_description description = read_description(said, at + 2, channels);
    n = hw_put_description(out, room, (uint16_t)number(said, at), (uint32_t)number(said, at + 1),
                           &description);
  } else if (strcmp(what, "samples") == 0) {
    n = put_samples(out, room, said, at);
  } else if (strcmp(what, "status") == 0) {
    n = hw_put_status(out, room, (uint16_t)number(said, at), (uint32_t)number(said, at + 1),
                      (uint8_t)number(said, at + 2), (uint8_t)number(said, at + 3));
  } else if (strcmp(what, "answer") == 0) {
    n = put_answer(out, room, said, at);
  } else if (strcmp(what, "frame") == 0) {
    n = put_any(out, room, said, at);
  } else {
    mine = 0;
  }
  if (mine) {
    say_line(out, n);
  }
  free(out);
  return mine;
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

/* A frame without its zero: type, sequence, clock and body, or `refused`. */
static void say_frame(uint16_t n_line)
{
  uint16_t n = hw_unstuff(bytes, n_line, bytes);
  if (n < 9 || crc_of(bytes, n - 2u) != (uint16_t)(bytes[n - 2] | bytes[n - 1] << 8)) {
    say("refused");
    return;
  }
  say_number(bytes[0]);
  say_number((unsigned long)(bytes[1] | bytes[2] << 8));
  say_number(bytes[3] | (unsigned long)bytes[4] << 8 | (unsigned long)bytes[5] << 16 |
             (unsigned long)bytes[6] << 24);
  say_bytes(bytes + 7, n - 9u);
}

static void say_commands(uint16_t n)
{
  hw_inbox inbox = {{0}, 0, 0};
  hw_command command;
  uint16_t i;
  for (i = 0; i < n; i++) {
    if (hw_take(&inbox, bytes[i], &command)) {
      if (has_answer()) {
        say("/");
      }
      say_number(command.code);
      say_number(command.sequence);
      say_number(command.rate_mhz);
    }
  }
  if (!has_answer()) {
    say("nothing");
  }
}

static void say_float(float value)
{
  uint8_t out[32];
  hw_frame frame;
  uint16_t n;
  hw_begin(&frame, out, sizeof out, 1, 0, 0);
  hw_f32(&frame, value);
  hw_f64(&frame, value);
  n = hw_unstuff(out, (uint16_t)(hw_end(&frame) - 1u), out);
  say_bytes(out + 7, n - 9u);
}

static int asked(const sentence *said)
{
  const char *what = word(said, 0);
  if (strcmp(what, "crc") == 0) {
    char text[8];
    snprintf(text, sizeof text, "%04X", (unsigned)crc_of(bytes, read_bytes(said, 1)));
    say(text);
  } else if (strcmp(what, "float") == 0) {
    say_float(strtof(word(said, 1), NULL));
  } else if (strcmp(what, "unstuff") == 0) {
    uint16_t n = hw_unstuff(bytes, read_bytes(said, 1), bytes);
    if (n == 0) {
      say("refused");
    }
    say_bytes(bytes, n);
  } else if (strcmp(what, "read") == 0) {
    say_frame(read_bytes(said, 1));
  } else if (strcmp(what, "take") == 0) {
    say_commands(read_bytes(said, 1));
  } else {
    return written(said);
  }
  return 1;
}

/* Put the answer to a line into `answer`. */
static void respond(char *line)
{
  static char whole[MOST_TEXT];
  static sentence said;
  strcpy(whole, line);
  begin_answer();
  cut(line, &said);
  if (!life(&said, whole) && !asked(&said)) {
    give_up(whole);
  }
}

/* Write out in full what a vector says: bytes that are repeated, ranges. */
static void in_full(char *right, char *full)
{
  static sentence said;
  char *rest;
  strcpy(full, right);
  (void)strtoul(right, &rest, 16);
  if (strchr(right, 'x') == NULL && strstr(right, "..") == NULL) {
    return;
  }
  cut(right, &said);
  begin_answer();
  say_bytes(bytes, read_bytes(&said, 0));
  strcpy(full, answer);
}

static int check(const char *path)
{
  static char line[MOST_TEXT];
  static char wanted[MOST_TEXT];
  FILE *file = fopen(path, "r");
  unsigned long n_lines = 0;
  unsigned long n_wrong = 0;
  if (file == NULL) {
    give_up("cannot open the vectors");
  }
  while (fgets(line, sizeof line, file) != NULL) {
    char *right;
    line[strcspn(line, "\r\n")] = '\0';
    right = strstr(line, " = ");
    if (line[0] == '#' || right == NULL) {
      continue;
    }
    *right = '\0';
    in_full(right + 3, wanted);
    printf("%s\n", line);
    respond(line);
    n_lines++;
    if (strcmp(answer, wanted) != 0) {
      n_wrong++;
      printf("  wanted %s\n  made   %s\n", wanted, answer);
    }
  }
  fclose(file);
  printf("%lu vectors, %lu wrong\n", n_lines, n_wrong);
  return n_lines == 0 || n_wrong != 0;
}

int main(int argc, char **argv)
{
  static char line[MOST_TEXT];
  if (argc == 3 && strcmp(argv[1], "--check") == 0) {
    return check(argv[2]);
  }
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    respond(line);
    puts(answer);
    fflush(stdout);
  }
  return 0;
}
