/*
 * Serial lines with a ring of bytes each way, moved by interrupts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef UART_H
#define UART_H

#include <stdint.h>

#include "mps2.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UART_RING 512u /* a power of two */

/* Written by one side, read by the other, so that neither has to wait or mask. */
typedef struct {
  volatile uint16_t put; /* bytes ever written */
  volatile uint16_t got; /* bytes ever read */
  uint8_t bytes[UART_RING];
} uart_ring;

typedef struct {
  mps2_uart *regs;
  uint8_t irq;
  volatile uint32_t n_lost; /* received while the ring was full */
  uart_ring in;
  uart_ring out;
} uart;

extern uart uart0; /* to the listener */
extern uart uart1; /* to the converter */
extern uart uart2; /* free, or to a chip on SPI or I2C */

void uart_begin(uart *line, uint32_t baud);
/* Room for bytes to send at once. */
uint16_t uart_room(const uart *line);
/* Send; waits while the ring is full. From main code only. */
void uart_write(uart *line, const uint8_t *bytes, uint16_t n);
/* Send if there is room for all; return whether there was. From one interrupt or main code. */
uint8_t uart_offer(uart *line, const uint8_t *bytes, uint16_t n);
uint16_t uart_waiting(const uart *line);
/* The oldest byte received; only where uart_waiting says that there is one. */
uint8_t uart_read(uart *line);

#ifdef __cplusplus
}
#endif
#endif
