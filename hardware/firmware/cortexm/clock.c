/*
 * The board's clock: see clock.h.
 *
 * Time is one half of the dual timer, free running; the tick is SysTick. Both count the same
 * 25 MHz, so they never drift apart.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "clock.h"

#include "mps2.h"
#include "startup.h"

#define SYSTICK_ON 7u /* counting the processor's clock, with its interrupt */
#define SYSTICK_MOST 0x1000000u
#define SYSTICK_PRIORITY_AT 24u

static uint32_t seen;  /* counter when it was last looked at */
static uint32_t us;
static uint32_t rest;  /* counts that do not make a microsecond yet */
static void (*on_tick)(void);

void irq_systick(void);

uint32_t clock_us(void)
{
  uint32_t before = cpu_mask_more();
  uint32_t now = ~MPS2_TIMER->value;
  uint32_t result;
  rest += now - seen;
  seen = now;
  us += rest / MPS2_COUNTS_A_US;
  rest %= MPS2_COUNTS_A_US;
  result = us;
  cpu_restore(before);
  return result;
}

void clock_tick(uint32_t period_us, void (*tick)(void))
{
  SYST_CSR = 0;
  on_tick = tick;
  if (period_us == 0) {
    return;
  }
  if (period_us > SYSTICK_MOST / MPS2_COUNTS_A_US) {
    startup_broken();
  }
  SCB_SHPR3 &= ~(0xFFu << SYSTICK_PRIORITY_AT); /* before everything else */
  SYST_RVR = period_us * MPS2_COUNTS_A_US - 1u;
  SYST_CVR = 0;
  SYST_CSR = SYSTICK_ON;
}

void irq_systick(void)
{
  on_tick();
}
