/*
 * The serial frame of Homeward boards (hardware/PACKET.md), written and read.
 *
 * Portable C99: no allocation, no libc but <stdint.h>, no floating point but what the caller hands
 * in. Numbers are written byte by byte, so byte order and padding of the machine do not matter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HW_PACKET_H
#define HW_PACKET_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { HW_DESCRIPTION = 1, HW_SAMPLES = 2, HW_STATUS = 3, HW_COMMAND = 4, HW_ANSWER = 5 };
enum { HW_I16 = 0, HW_I32 = 2, HW_F32 = 3 };
enum { HW_DESCRIBE = 0, HW_START = 1, HW_STOP = 2, HW_RATE = 3 };
enum { HW_DONE = 0, HW_UNKNOWN = 1, HW_REFUSED = 2 };

#define HW_MAX_LINE 1024u      /* bytes of a frame on the line, its zero included */
#define HW_MAX_COMMAND 32u     /* the same of a command */
#define HW_NO_BATTERY 255u     /* charge is not known, or there is no battery */
#define HW_NONE_I16 (-32767 - 1) /* "no value" of number type HW_I16 */
#define HW_NONE_I32 (-2147483647L - 1)

/* One channel of a description: value = (raw - baseline) / gain. */
typedef struct {
  uint8_t type;       /* HW_I16, HW_I32 or HW_F32 */
  float gain;         /* raw counts for one unit */
  float baseline;     /* raw count that means zero */
  const char *signal; /* lower case ASCII that ends in its unit: "ecg_mv" */
  const char *lead;   /* lead, axis or site; "" where there is only one */
} hw_channel;

typedef struct {
  uint32_t rate_mhz;    /* thousandths of a hertz */
  const char *device;   /* names for people, at most 31 bytes */
  const char *firmware;
  const hw_channel *channels;
  uint8_t n_channels;   /* 1 to 32 */
} hw_description;

/* A frame while it is written: its bytes are stuffed as they come. */
typedef struct {
  uint8_t *out;
  uint16_t size;    /* room in out */
  uint16_t n;       /* bytes written, the open length byte included */
  uint16_t code_at; /* where the open block's length byte is */
  uint16_t crc;
  uint8_t full;     /* it did not fit */
} hw_frame;

/* Begin a frame in out[size]; the head goes in at once. */
void hw_begin(hw_frame *frame, uint8_t *out, uint16_t size, uint8_t type, uint16_t sequence,
              uint32_t clock_us);
void hw_u8(hw_frame *frame, uint8_t value);
void hw_u16(hw_frame *frame, uint16_t value);
void hw_u32(hw_frame *frame, uint32_t value);
void hw_i16(hw_frame *frame, int16_t value);
void hw_i32(hw_frame *frame, int32_t value);
void hw_f32(hw_frame *frame, float value);
/* Eight bytes, also where a double has only four (AVR). */
void hw_f64(hw_frame *frame, float value);
/* Length and ASCII; cut at 31 bytes. */
void hw_text(hw_frame *frame, const char *text);
/* Add CRC and zero; return the bytes to send, 0 where they did not fit. */
uint16_t hw_end(hw_frame *frame);

/* Whole frames other than samples; each returns the bytes to send, 0 where they do not fit. */
uint16_t hw_put_description(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                            const hw_description *description);
uint16_t hw_put_status(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                       uint8_t lead_off, uint8_t battery_pct);

/* What was sent to the board. */
typedef struct {
  uint8_t code;      /* HW_DESCRIBE ... */
  uint16_t sequence; /* goes back in the answer */
  uint32_t rate_mhz; /* with HW_RATE only, else 0 */
} hw_command;

uint16_t hw_put_answer(uint8_t *out, uint16_t size, uint16_t sequence, uint32_t clock_us,
                       const hw_command *command, uint8_t result, uint32_t rate_mhz);

/* Bytes received, until they are a command; all zero to begin with. */
typedef struct {
  uint8_t bytes[HW_MAX_COMMAND];
  uint8_t n;
  uint8_t full; /* longer than any command: passed over up to the next zero */
} hw_inbox;

/* Take one byte; return 1 where it ends a whole command with a good CRC, which is then in
 * *command, else 0. */
uint8_t hw_take(hw_inbox *inbox, uint8_t byte, hw_command *command);

uint16_t hw_crc16(uint16_t crc, uint8_t byte); /* one step, from 0xFFFF */
/* Take the stuffing out of in[n] (without the final zero), in place if out == in; return the
 * bytes of the body and its CRC, 0 where they cannot be a frame. Does not look at the CRC. */
uint16_t hw_unstuff(const uint8_t *in, uint16_t n, uint8_t *out);

#ifdef __cplusplus
}
#endif
#endif
