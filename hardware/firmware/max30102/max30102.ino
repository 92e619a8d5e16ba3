/*
 * Red and infrared pleth by a MAX30102 module (GY-MAX30102 and its like), on any Arduino with I2C.
 *
 * Wiring (module -> Uno/Nano; drawing: hardware/drawings):
 *
 *     VIN -> 3.3V or 5V (modules have regulators of their own)
 *     GND -> GND
 *     SDA -> A4 (SDA)
 *     SCL -> A5 (SCL)
 *     INT, IRD, RD -> leave open
 *
 * Many cheap modules pull SDA and SCL up to their inner 1.8 V, which a 5 V Uno may not read as
 * high: if the chip is not found, that is why (hardware/README.md says what to do).
 *
 * No SpO2 is computed here. The ratio of red and infrared becomes a saturation only by a curve that
 * was measured on people with this optical arrangement; module makers publish none. What is sent is
 * what the chip measured.
 *
 * Register map: MAX30102 data sheet, Maxim 19-7740; its pages on the FIFO were read, the settings
 * were checked against public drivers only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <Wire.h>
#include <hw_arduino.h>
#include <hw_board.h>
#include <hw_fifo.h>
#include <hw_i2c.h>

/* ---- Settings ------------------------------------------------------------------------------ */

/* Currents of the lamps in steps of 0.2 mA: 0x24 is 7.2 mA. More for dark or cold fingers, less if
 * the counts stand at 262,143. */
#define RED_CURRENT 0x24
#define INFRARED_CURRENT 0x24

/* A finger is on from here, and off from there: counts of infrared. With nothing on the sensor
 * there are some hundred to some thousand, with a finger 70,000 and more. Not from the data sheet:
 * what public sketches use. */
#define FINGER_ON 50000L
#define FINGER_OFF 40000L

/* ---- From here on there is nothing to set -------------------------------------------------- */

#define ADDRESS 0x57 /* 0xAE and 0xAF with the bit for writing */

#define INTERRUPT_ENABLE_1 0x02
#define FIFO_WR_PTR 0x04 /* then OVF_COUNTER, FIFO_RD_PTR, FIFO_DATA */
#define OVF_COUNTER 0x05
#define FIFO_RD_PTR 0x06
#define FIFO_DATA 0x07
#define FIFO_CONFIG 0x08
#define MODE_CONFIG 0x09
#define SPO2_CONFIG 0x0A
#define LED1_PA 0x0C /* red */
#define LED2_PA 0x0D /* infrared */
#define PART_ID 0xFF

#define THIS_PART 0x15
#define MODE_RESET 0x40
#define MODE_SPO2 0x03 /* red, then infrared */
/* No averaging; a full FIFO keeps what it has (no roll-over), so that what is lost is lost after
 * the samples in it and not before. */
#define FIFO_KEEPS 0x00
/* 4,096 nA full scale, 100 samples a second, pulses of 411 us, which give 18 bits. */
#define SPO2_100_HZ_18_BITS 0x27
#define RATE_MHZ 100000uL

#define FIFO_DEPTH 32u
#define POINTER_MASK 0x1Fu
#define SAMPLE_BYTES 6u
#define ROWS_A_FRAME 10u
#define RESET_TRIES 20u

static const hw_channel CHANNELS[] = {
    {HW_I32, 1.0f, 0.0f, "pleth_au", "red"},
    {HW_I32, 1.0f, 0.0f, "pleth_au", "ir"},
};
static const hw_description DESCRIPTION = {RATE_MHZ, "MAX30102", "max30102 1.0", CHANNELS, 2};

static hw_board board;
static hw_fifo fifo;
static uint8_t read_ptr = 0; /* where the next sample is in the FIFO */
static uint8_t finger = 0;

static uint8_t end_reset(void)
{
  /* RESET clears itself when it is done (MODE_CONFIG, bit 6). */
  for (uint8_t i = 0; i < RESET_TRIES; i++) {
    uint8_t mode = MODE_RESET;
    delay(1);
    if (hw_i2c_read(ADDRESS, MODE_CONFIG, &mode, 1) && (mode & MODE_RESET) == 0) {
      return 1;
    }
  }
  return 0;
}

static uint8_t set_up(uint32_t rate_mhz)
{
  uint8_t part = 0;
  (void)rate_mhz; /* there is only one */
  finger = 0;
  read_ptr = 0;
  hw_i2c_begin();
  if (!hw_i2c_read(ADDRESS, PART_ID, &part, 1) || part != THIS_PART) {
    return 0;
  }
  return hw_i2c_write(ADDRESS, MODE_CONFIG, MODE_RESET) && end_reset() &&
         hw_i2c_set(ADDRESS, INTERRUPT_ENABLE_1, 0) &&
         hw_i2c_set(ADDRESS, FIFO_CONFIG, FIFO_KEEPS) &&
         hw_i2c_set(ADDRESS, SPO2_CONFIG, SPO2_100_HZ_18_BITS) &&
         hw_i2c_set(ADDRESS, LED1_PA, RED_CURRENT) &&
         hw_i2c_set(ADDRESS, LED2_PA, INFRARED_CURRENT) &&
         /* "The FIFO write/read pointers should be cleared upon entering SpO2 mode." */
         hw_i2c_set(ADDRESS, FIFO_WR_PTR, 0) && hw_i2c_set(ADDRESS, OVF_COUNTER, 0) &&
         hw_i2c_set(ADDRESS, FIFO_RD_PTR, 0) && hw_i2c_set(ADDRESS, MODE_CONFIG, MODE_SPO2);
}

static uint8_t look(uint8_t *n, uint8_t *overflowed)
{
  uint8_t pointers[3];
  if (!hw_i2c_read(ADDRESS, FIFO_WR_PTR, pointers, sizeof pointers)) {
    return 0;
  }
  read_ptr = pointers[2] & POINTER_MASK;
  *n = (uint8_t)((pointers[0] - read_ptr) & POINTER_MASK);
  /* Equal pointers mean empty or full. Full with nothing lost yet looks empty; the next look tells
   * them apart, because then the counter has begun to count. It stops at 31, and a read clears it:
   * how many were lost is told by the time that went by, see hw_fifo. */
  *overflowed = (pointers[1] & POINTER_MASK) != 0;
  if (*overflowed) {
    *n = FIFO_DEPTH;
  }
  return 1;
}

/* 18 bits, the highest in bit 1 of the first byte; those above it are not used. */
static int32_t count_of(const uint8_t *bytes)
{
  return (int32_t)(((uint32_t)(bytes[0] & 0x03u) << 16) | ((uint32_t)bytes[1] << 8) | bytes[2]);
}

static uint8_t take(int32_t *rows, uint8_t n)
{
  uint8_t bytes[HW_FIFO_ROWS * SAMPLE_BYTES];
  uint8_t n_tries = 0;
  while (!hw_i2c_read_once(ADDRESS, FIFO_DATA, bytes, (uint8_t)(n * SAMPLE_BYTES))) {
    n_tries++;
    /* FIFO_RD_PTR may be written so that samples are read again after a failed transfer. */
    if (n_tries >= HW_I2C_TRIES || !hw_i2c_write(ADDRESS, FIFO_RD_PTR, read_ptr)) {
      return 0;
    }
  }
  read_ptr = (uint8_t)((read_ptr + n) & POINTER_MASK);
  for (uint8_t i = 0; i < n; i++) {
    rows[2 * i] = count_of(&bytes[i * SAMPLE_BYTES]);
    rows[2 * i + 1] = count_of(&bytes[i * SAMPLE_BYTES + 3]);
    finger = rows[2 * i + 1] >= (finger ? FINGER_OFF : FINGER_ON);
  }
  return n;
}

static uint8_t electrodes_off(void)
{
  return finger ? 0 : 3;
}

static const hw_fifo_chip CHIP = {set_up, look, take, electrodes_off};

void setup()
{
  hw_serial_begin();
  hw_board_begin(&board, &DESCRIPTION, hw_serial_write, NULL, ROWS_A_FRAME, hw_now_us());
  hw_fifo_begin(&fifo, &board, &CHIP, hw_now_us);
}

void loop()
{
  hw_fifo_run(&fifo);
  hw_serve(&board);
  hw_rest(NULL, 0);
}
