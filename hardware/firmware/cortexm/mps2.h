/*
 * The machine: ARM's MPS2 board with FPGA image AN385, a Cortex-M3 at 25 MHz, as QEMU has it
 * (-M mps2-an385). Only what this firmware uses.
 *
 * Register layouts: ARM DDI 0479 (Cortex-M System Design Kit: UART, dual timer, watchdog), ARM DAI
 * 0385 (memory map and interrupts of the FPGA image), ARM DDI 0403 (ARMv7-M system registers).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MPS2_H
#define MPS2_H

#include <stdint.h>

#define MPS2_CLOCK_HZ 25000000u
#define MPS2_COUNTS_A_US (MPS2_CLOCK_HZ / 1000000u)

typedef volatile uint32_t mps2_reg;

typedef struct {
  mps2_reg data;
  mps2_reg state; /* MPS2_TX_FULL, MPS2_RX_FULL; overruns above, cleared by writing 1 */
  mps2_reg ctrl;
  mps2_reg intstatus; /* cleared by writing 1 */
  mps2_reg bauddiv;
} mps2_uart;

enum { MPS2_TX_FULL = 1, MPS2_RX_FULL = 2 };
enum { MPS2_TX_ON = 1, MPS2_RX_ON = 2, MPS2_TX_IRQ_ON = 4, MPS2_RX_IRQ_ON = 8 };
enum { MPS2_TX_IRQ = 1, MPS2_RX_IRQ = 2 };

#define MPS2_UART0 ((mps2_uart *)0x40004000u)
#define MPS2_UART1 ((mps2_uart *)0x40005000u)
#define MPS2_UART2 ((mps2_uart *)0x40006000u)

/* Interrupt numbers: receiving; sending is the next one. */
enum { MPS2_UART0_IRQ = 0, MPS2_UART1_IRQ = 2, MPS2_UART2_IRQ = 4 };
enum { MPS2_ALARM_IRQ = 8, MPS2_IRQS = 32 };

/* One half of the dual timer; it counts down. */
typedef struct {
  mps2_reg load;
  mps2_reg value;
  mps2_reg control;
} mps2_timer;

#define MPS2_TIMER ((mps2_timer *)0x40002000u)
enum { MPS2_TIMER_WIDE = 2, MPS2_TIMER_ON = 128 }; /* 32 bits wide, free running */

/* A single timer; it counts down and starts again from reload. */
typedef struct {
  mps2_reg ctrl;
  mps2_reg value;
  mps2_reg reload;
  mps2_reg intclear;
} mps2_alarm;

#define MPS2_ALARM ((mps2_alarm *)0x40000000u)
enum { MPS2_ALARM_ON = 1, MPS2_ALARM_IRQ_ON = 8 };

typedef struct {
  mps2_reg load;
  mps2_reg value;
  mps2_reg control;
  mps2_reg intclr;
} mps2_watchdog;

#define MPS2_WATCHDOG ((mps2_watchdog *)0x40008000u)
/* The first time it runs out it raises the NMI, the second time it resets the machine. */
enum { MPS2_WATCHDOG_IRQ_ON = 1, MPS2_WATCHDOG_RESET_ON = 2 };

/* What every Cortex-M has. */
#define SYST_CSR (*(mps2_reg *)0xE000E010u)
#define SYST_RVR (*(mps2_reg *)0xE000E014u)
#define SYST_CVR (*(mps2_reg *)0xE000E018u)
#define NVIC_ISER (*(mps2_reg *)0xE000E100u)
#define NVIC_ISPR (*(mps2_reg *)0xE000E200u)
#define NVIC_IPR ((volatile uint8_t *)0xE000E400u)
#define SCB_AIRCR (*(mps2_reg *)0xE000ED0Cu)
#define SCB_CCR (*(mps2_reg *)0xE000ED14u)
#define SCB_SHPR3 (*(mps2_reg *)0xE000ED20u)
#define MPU_CTRL (*(mps2_reg *)0xE000ED94u)
#define MPU_RNR (*(mps2_reg *)0xE000ED98u)
#define MPU_RBAR (*(mps2_reg *)0xE000ED9Cu)
#define MPU_RASR (*(mps2_reg *)0xE000EDA0u)

static inline void cpu_mask(void)
{
  __asm volatile("cpsid i" ::: "memory");
}

static inline void cpu_unmask(void)
{
  __asm volatile("cpsie i" ::: "memory");
}

/* Mask interrupts and return whether they were masked before, for cpu_restore. */
static inline uint32_t cpu_mask_more(void)
{
  uint32_t before;
  __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(before)::"memory");
  return before;
}

static inline void cpu_restore(uint32_t before)
{
  __asm volatile("msr primask, %0" ::"r"(before) : "memory");
}

/* Sleep until an interrupt is there, also a masked one. */
static inline void cpu_sleep(void)
{
  __asm volatile("dsb\n\twfi" ::: "memory");
}

#endif
