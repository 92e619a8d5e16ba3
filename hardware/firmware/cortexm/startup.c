/*
 * Vector table, start, faults: see startup.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "startup.h"

#include "mps2.h"

#define NOTED 0x48574E54u /* a note is there, and not what the RAM held at switching on */
#define WATCHDOG_S 2u
#define BACK_AFTER_COUNTS (MPS2_CLOCK_HZ / 4u)
#define RESET_REQUEST 0x05FA0004u
#define TRAP_DIVISION 0x10u
#define MPU_ON_WITH_DEFAULT_MAP 5u
#define GUARD_NO_ACCESS_32_BYTES 9u /* region on, 2^(4 + 1) bytes, nobody may */
#define VECTORS (16u + MPS2_IRQS)
#define PC_IN_FRAME 6u /* word of the program counter in what the processor pushes */

enum { CAUSE_NMI = 2 };

typedef void (*vector)(void);
typedef struct {
  uint32_t noted;
  uint32_t cause; /* number of the exception */
  uint32_t pc;
} note;

extern uint32_t stack_top[], stack_guard[], data_begin[], data_end[], bss_begin[], bss_end[];
extern const uint32_t data_stored[];
extern const vector init_array_begin[], init_array_end[];

static note last_run __attribute__((section(".noinit")));

int main(void);
void startup(void);
void startup_fault(const uint32_t *frame);

static void start_again(uint32_t cause, uint32_t pc) __attribute__((noreturn));

static void start_again(uint32_t cause, uint32_t pc)
{
  uint32_t since = MPS2_TIMER->value;
  cpu_mask();
  last_run.noted = NOTED;
  last_run.cause = cause;
  last_run.pc = pc;
  /* Not at once: a fault right after the start would fill the line with descriptions. */
  while (since - MPS2_TIMER->value < BACK_AFTER_COUNTS) {
  }
  SCB_AIRCR = RESET_REQUEST;
  for (;;) {
  }
}

void startup_fault(const uint32_t *frame)
{
  uint32_t cause;
  uint32_t pc = 0;
  __asm volatile("mrs %0, ipsr" : "=r"(cause));
  /* Where the stack ran over there is no frame to read. */
  if (frame > stack_guard + 8 && frame + PC_IN_FRAME < stack_top) {
    pc = frame[PC_IN_FRAME];
  }
  start_again(cause, pc);
}

/* Every exception nobody expects: faults, the watchdog's NMI, interrupts without a driver. Begins
 * with a fresh stack, because the old one may be what is wrong. */
__attribute__((naked, used)) static void unexpected(void)
{
  __asm volatile(
      "mrs r0, msp\n\t"
      "ldr r1, =stack_top\n\t"
      "msr msp, r1\n\t"
      "b startup_fault");
}

void startup_broken(void)
{
  start_again(0, (uint32_t)(uintptr_t)__builtin_return_address(0));
}

void startup_alive(void)
{
  MPS2_WATCHDOG->intclr = 1;
}

static void guard_stack(void)
{
  MPU_RNR = 0;
  MPU_RBAR = (uint32_t)(uintptr_t)stack_guard;
  MPU_RASR = GUARD_NO_ACCESS_32_BYTES;
  MPU_CTRL = MPU_ON_WITH_DEFAULT_MAP;
  __asm volatile("dsb\n\tisb" ::: "memory");
}

void startup(void)
{
  const uint32_t *from = data_stored;
  const vector *constructor;
  uint32_t *to;
  for (to = data_begin; to < data_end; to++) {
    *to = *from++;
  }
  for (to = bss_begin; to < bss_end; to++) {
    *to = 0;
  }
  guard_stack();
  SCB_CCR |= TRAP_DIVISION;
  MPS2_TIMER->control = MPS2_TIMER_ON | MPS2_TIMER_WIDE;
  MPS2_WATCHDOG->load = WATCHDOG_S * MPS2_CLOCK_HZ;
  MPS2_WATCHDOG->control = MPS2_WATCHDOG_IRQ_ON | MPS2_WATCHDOG_RESET_ON;
  for (constructor = init_array_begin; constructor < init_array_end; constructor++) {
    (*constructor)();
  }
  main();
  startup_broken();
}

static char *put_text(char *at, const char *end, const char *text)
{
  while (*text != 0 && at < end) {
    *at++ = *text++;
  }
  return at;
}

static char *put_hex(char *at, const char *end, uint32_t value, uint32_t digits)
{
  while (digits-- > 0 && at < end) {
    *at++ = "0123456789abcdef"[(value >> (4u * digits)) & 15u];
  }
  return at;
}

void startup_name(char *text, const char *firmware)
{
  const char *end = text + STARTUP_NAME_BYTES - 1;
  char *at = put_text(text, end, firmware);
  if (last_run.noted == NOTED) {
    if (last_run.cause == CAUSE_NMI) {
      at = put_text(at, end, " hung");
    } else if (last_run.cause == 0) {
      at = put_text(at, end, " broken");
    } else {
      at = put_text(at, end, " fault ");
      at = put_hex(at, end, last_run.cause, 2);
    }
    at = put_text(at, end, " at ");
    at = put_hex(at, end, last_run.pc, 8);
  }
  *at = 0;
  last_run.noted = 0;
}

/* Replaced by the drivers that are linked. */
#define OR_UNEXPECTED __attribute__((weak, alias("unexpected")))
void irq_systick(void) OR_UNEXPECTED;
void irq_uart0_rx(void) OR_UNEXPECTED;
void irq_uart0_tx(void) OR_UNEXPECTED;
void irq_uart1_rx(void) OR_UNEXPECTED;
void irq_uart1_tx(void) OR_UNEXPECTED;
void irq_uart2_rx(void) OR_UNEXPECTED;
void irq_uart2_tx(void) OR_UNEXPECTED;
void irq_alarm(void) OR_UNEXPECTED;

typedef union {
  vector handler;
  uint32_t *stack;
} table_entry;

#define ONE {.handler = unexpected}
#define FOUR ONE, ONE, ONE, ONE
__attribute__((section(".vectors"), used)) static const table_entry vectors[VECTORS] = {
    [0] = {.stack = stack_top},
    [1] = {.handler = startup},
    [2] = ONE, /* NMI: the watchdog */
    [3] = ONE,
    [4] = ONE,
    [5] = ONE,
    [6] = ONE,
    [11] = ONE,
    [12] = ONE,
    [14] = ONE,
    [15] = {.handler = irq_systick},
    [16 + MPS2_UART0_IRQ] = {.handler = irq_uart0_rx},
    [17 + MPS2_UART0_IRQ] = {.handler = irq_uart0_tx},
    [16 + MPS2_UART1_IRQ] = {.handler = irq_uart1_rx},
    [17 + MPS2_UART1_IRQ] = {.handler = irq_uart1_tx},
    [16 + MPS2_UART2_IRQ] = {.handler = irq_uart2_rx},
    [17 + MPS2_UART2_IRQ] = {.handler = irq_uart2_tx},
    [22] = ONE, ONE,
    [16 + MPS2_ALARM_IRQ] = {.handler = irq_alarm},
    [25] = FOUR, FOUR, FOUR, FOUR, FOUR, ONE, ONE, ONE,
};
