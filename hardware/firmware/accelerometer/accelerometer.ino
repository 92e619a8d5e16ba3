/*
 * Movement and posture by an ADXL345 module (GY-291), on any Arduino with I2C.
 *
 * Wiring (module -> Uno/Nano; drawing: hardware/drawings):
 *
 *     VCC -> 3.3V or 5V (the GY-291 has a regulator and level shifting resistors)
 *     GND -> GND
 *     SDA -> A4 (SDA)
 *     SCL -> A5 (SCL)
 *     CS  -> VCC          high chooses I2C
 *     SDO -> GND          chooses the address 0x53
 *     INT1, INT2 -> leave open: the fill of the FIFO is asked for
 *
 * Register map: ADXL345 data sheet, Analog Devices, Rev. E; checked against public drivers, the
 * FIFO also against AN-1025 and its sister ADXL313.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <Wire.h>
#include <hw_arduino.h>
#include <hw_board.h>
#include <hw_fifo.h>
#include <hw_i2c.h>

/* ---- Settings ------------------------------------------------------------------------------ */

/* Samples a second after switching on: 25, 50 or 100. */
#define RATE_HZ 50

/* 0x53 with SDO low, 0x1D with SDO high. */
#define ADDRESS 0x53

/* ---- From here on there is nothing to set -------------------------------------------------- */

#define DEVID 0x00
#define BW_RATE 0x2C
#define POWER_CTL 0x2D
#define INT_ENABLE 0x2E
#define DATA_FORMAT 0x31
#define DATAX0 0x32
#define FIFO_CTL 0x38
#define FIFO_STATUS 0x39

#define THIS_PART 0xE5
#define STANDBY 0x00
#define MEASURE 0x08
#define FULL_RESOLUTION_16_G 0x0B /* 13 bits, 3.9 mg each at every range */
#define FIFO_BYPASS 0x00          /* also empties it */
/* FIFO mode, not stream mode: when full it keeps the old samples, so that what is lost is lost
 * after the samples in it and not before. */
#define FIFO_KEEPS 0x40
#define ENTRIES_MASK 0x3Fu
#define FIFO_DEPTH 32u
#define COUNTS_A_G 256.0f /* typical; +-10 % from part to part */
#define ROWS_A_FRAME 6u   /* 4 to 17 frames a second */

static const hw_channel CHANNELS[] = {
    {HW_I16, COUNTS_A_G, 0.0f, "accel_g", "x"},
    {HW_I16, COUNTS_A_G, 0.0f, "accel_g", "y"},
    {HW_I16, COUNTS_A_G, 0.0f, "accel_g", "z"},
};
static const hw_description DESCRIPTION = {RATE_HZ * 1000uL, "ADXL345", "accelerometer 1.0",
                                           CHANNELS, 3};

static hw_board board;
static hw_fifo fifo;

/* BW_RATE's code, 0 where there is none. */
static uint8_t rate_code(uint32_t rate_mhz)
{
  switch (rate_mhz) {
    case 25000uL:
      return 0x08;
    case 50000uL:
      return 0x09;
    case 100000uL:
      return 0x0A;
    default:
      return 0;
  }
}

static uint8_t set_up(uint32_t rate_mhz)
{
  uint8_t part = 0;
  hw_i2c_begin();
  if (!hw_i2c_read(ADDRESS, DEVID, &part, 1) || part != THIS_PART) {
    return 0;
  }
  /* Settings are made in standby; the measure bit comes last. */
  return hw_i2c_set(ADDRESS, POWER_CTL, STANDBY) && hw_i2c_set(ADDRESS, INT_ENABLE, 0) &&
         hw_i2c_set(ADDRESS, DATA_FORMAT, FULL_RESOLUTION_16_G) &&
         hw_i2c_set(ADDRESS, BW_RATE, rate_code(rate_mhz)) &&
         hw_i2c_set(ADDRESS, FIFO_CTL, FIFO_BYPASS) && hw_i2c_set(ADDRESS, FIFO_CTL, FIFO_KEEPS) &&
         hw_i2c_set(ADDRESS, POWER_CTL, MEASURE);
}

static uint8_t look(uint8_t *n, uint8_t *overflowed)
{
  uint8_t status = 0;
  if (!hw_i2c_read(ADDRESS, FIFO_STATUS, &status, 1)) {
    return 0;
  }
  *n = status & ENTRIES_MASK;
  /* Full may mean that some were lost. If none were, the time of the next sample shows it. */
  *overflowed = *n >= FIFO_DEPTH;
  return 1;
}

/* One sample: each read of the six data registers moves the FIFO on by one, so that they must be
 * read in one go, and not sooner than 5 us after the one before, which the address on the bus
 * takes. A read that failed may have moved it on: no second try. */
static uint8_t take(int32_t *rows, uint8_t n)
{
  uint8_t bytes[6];
  (void)n;
  if (!hw_i2c_read_once(ADDRESS, DATAX0, bytes, sizeof bytes)) {
    return 0;
  }
  for (uint8_t i = 0; i < 3; i++) {
    rows[i] = (int16_t)((uint16_t)(bytes[2 * i + 1] << 8) | bytes[2 * i]);
  }
  return 1;
}

static const hw_fifo_chip CHIP = {set_up, look, take, NULL};

static uint8_t set_rate(uint32_t rate_mhz)
{
  if (rate_code(rate_mhz) == 0) {
    return 0;
  }
  if (rate_mhz != board.description.rate_mhz) {
    hw_fifo_change_rate(&fifo, rate_mhz);
  }
  return 1;
}

void setup()
{
  hw_serial_begin();
  hw_board_begin(&board, &DESCRIPTION, hw_serial_write, set_rate, ROWS_A_FRAME, hw_now_us());
  hw_fifo_begin(&fifo, &board, &CHIP, hw_now_us);
}

void loop()
{
  hw_fifo_run(&fifo);
  hw_serve(&board);
  hw_rest(NULL, 0);
}
