/*
 * Serial lines: see uart.h.
 *
 * Sending is started by pending the interrupt of "byte sent" by hand. It looks whether the line is
 * free and whether there is something to send, so there is no flag that says that it runs, and
 * nothing to get out of step with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "uart.h"

#include "startup.h"

#define UART_PRIORITY 0x80u /* after the tick, which must not wait */
#define LEAST_BAUDDIV 16u

uart uart0 = {.regs = MPS2_UART0, .irq = MPS2_UART0_IRQ};
uart uart1 = {.regs = MPS2_UART1, .irq = MPS2_UART1_IRQ};
uart uart2 = {.regs = MPS2_UART2, .irq = MPS2_UART2_IRQ};

void irq_uart0_rx(void);
void irq_uart0_tx(void);
void irq_uart1_rx(void);
void irq_uart1_tx(void);
void irq_uart2_rx(void);
void irq_uart2_tx(void);

static uint16_t filled(const uart_ring *ring)
{
  return (uint16_t)(ring->put - ring->got);
}

static void put(uart_ring *ring, uint8_t byte)
{
  ring->bytes[ring->put % UART_RING] = byte;
  __asm volatile("" ::: "memory"); /* the byte before the count that shows it */
  ring->put++;
}

static uint8_t get(uart_ring *ring)
{
  uint8_t byte = ring->bytes[ring->got % UART_RING];
  __asm volatile("" ::: "memory");
  ring->got++;
  return byte;
}

void uart_begin(uart *line, uint32_t baud)
{
  uint32_t bauddiv = MPS2_CLOCK_HZ / baud;
  if (bauddiv < LEAST_BAUDDIV) {
    startup_broken();
  }
  line->regs->bauddiv = bauddiv;
  line->regs->ctrl = MPS2_TX_ON | MPS2_RX_ON | MPS2_TX_IRQ_ON | MPS2_RX_IRQ_ON;
  NVIC_IPR[line->irq] = UART_PRIORITY;
  NVIC_IPR[line->irq + 1] = UART_PRIORITY;
  NVIC_ISER = 3u << line->irq;
}

uint16_t uart_room(const uart *line)
{
  return (uint16_t)(UART_RING - filled(&line->out));
}

static void start_sending(const uart *line)
{
  NVIC_ISPR = 2u << line->irq;
}

void uart_write(uart *line, const uint8_t *bytes, uint16_t n)
{
  while (n-- > 0) {
    if (uart_room(line) == 0) {
      start_sending(line);
    }
    while (uart_room(line) == 0) {
      /* A listener that does not read can stop a line only under emulation. The rows that come
       * meanwhile are missed, and said to be; that is no reason to start again. */
      startup_alive();
    }
    put(&line->out, *bytes++);
  }
  start_sending(line);
}

uint8_t uart_offer(uart *line, const uint8_t *bytes, uint16_t n)
{
  if (uart_room(line) < n) {
    return 0;
  }
  while (n-- > 0) {
    put(&line->out, *bytes++);
  }
  start_sending(line);
  return 1;
}

uint16_t uart_waiting(const uart *line)
{
  return filled(&line->in);
}

uint8_t uart_read(uart *line)
{
  return get(&line->in);
}

static void received(uart *line)
{
  while (line->regs->state & MPS2_RX_FULL) {
    uint8_t byte;
    line->regs->intstatus = MPS2_RX_IRQ;
    byte = (uint8_t)line->regs->data;
    if (filled(&line->in) < UART_RING) {
      put(&line->in, byte);
    } else {
      line->n_lost++;
    }
  }
}

static void sent(uart *line)
{
  line->regs->intstatus = MPS2_TX_IRQ;
  while (filled(&line->out) > 0 && !(line->regs->state & MPS2_TX_FULL)) {
    line->regs->data = get(&line->out);
  }
}

void irq_uart0_rx(void)
{
  received(&uart0);
}

void irq_uart0_tx(void)
{
  sent(&uart0);
}

void irq_uart1_rx(void)
{
  received(&uart1);
}

void irq_uart1_tx(void)
{
  sent(&uart1);
}

void irq_uart2_rx(void)
{
  received(&uart2);
}

void irq_uart2_tx(void)
{
  sent(&uart2);
}
