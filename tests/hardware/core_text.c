/*
 * Lines of text in, lines of text out: see core_text.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char answer[MOST_TEXT];
static size_t n_answer;
uint8_t bytes[MOST_BYTES];

void give_up(const char *why)
{
  fprintf(stderr, "core_says: %s\n", why);
  exit(2);
}

void begin_answer(void)
{
  n_answer = 0;
  answer[0] = '\0';
}

int has_answer(void)
{
  return n_answer != 0;
}

void say(const char *text)
{
  size_t n = strlen(text);
  if (n_answer + n + 2u > MOST_TEXT) {
    give_up("answer too long");
  }
  if (n_answer != 0) {
    answer[n_answer++] = ' ';
  }
  memcpy(answer + n_answer, text, n + 1u);
  n_answer += n;
}

void say_number(unsigned long value)
{
  char text[24];
  snprintf(text, sizeof text, "%lu", value);
  say(text);
}

void say_bytes(const uint8_t *from, size_t n)
{
  char text[4];
  size_t i;
  for (i = 0; i < n; i++) {
    snprintf(text, sizeof text, "%02X", (unsigned)from[i]);
    say(text);
  }
}

void cut(char *line, sentence *said)
{
  said->n = 0;
  while (*line != '\0') {
    char end = ' ';
    if (*line == ' ') {
      line++;
      continue;
    }
    if (*line == '"') {
      end = '"';
      line++;
    }
    if (said->n == MOST_WORDS) {
      give_up("too many words");
    }
    said->word[said->n++] = line;
    while (*line != '\0' && *line != end) {
      line++;
    }
    if (*line != '\0') {
      *line++ = '\0';
    }
  }
}

const char *word(const sentence *said, unsigned at)
{
  if (at >= said->n) {
    give_up("a word is missing");
  }
  return said->word[at];
}

unsigned long number(const sentence *said, unsigned at)
{
  return strtoul(word(said, at), NULL, 10);
}

uint16_t read_bytes(const sentence *said, unsigned at)
{
  size_t n = 0;
  for (; at < said->n; at++) {
    char *rest;
    unsigned long value = strtoul(said->word[at], &rest, 16);
    unsigned long last = value;
    unsigned long times = 1;
    if (*rest == 'x') {
      times = strtoul(rest + 1, &rest, 10);
    } else if (strncmp(rest, "..", 2) == 0) {
      last = strtoul(rest + 2, &rest, 16);
    }
    if (*rest != '\0' || value > last || last > 255 || n + times + 256u > MOST_BYTES) {
      give_up("no bytes");
    }
    for (; value < last; value++) {
      bytes[n++] = (uint8_t)value;
    }
    for (; times != 0; times--) {
      bytes[n++] = (uint8_t)last;
    }
  }
  return (uint16_t)n;
}

uint8_t number_type(const char *name)
{
  return name[0] == 'f' ? HW_F32 : name[1] == '1' ? HW_I16 : HW_I32;
}

hw_description read_description(const sentence *said, unsigned at, hw_channel *channels)
{
  hw_description description;
  description.rate_mhz = (uint32_t)number(said, at);
  description.device = word(said, at + 1);
  description.firmware = word(said, at + 2);
  description.channels = channels;
  description.n_channels = 0;
  for (at += 3; at < said->n; at += 5) {
    hw_channel *channel = &channels[description.n_channels++];
    channel->type = number_type(word(said, at));
    channel->gain = strtof(word(said, at + 1), NULL);
    channel->baseline = strtof(word(said, at + 2), NULL);
    channel->signal = word(said, at + 3);
    channel->lead = word(said, at + 4);
    if (description.n_channels == MOST_CHANNELS) {
      give_up("too many channels");
    }
  }
  return description;
}
