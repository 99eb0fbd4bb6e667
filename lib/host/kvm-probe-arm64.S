/*
 * The smallest program that shows whether KVM works on arm64: it switches its machine off.
 * kvm-probe-arm64.bin is its code, and nothing else:
 *
 *   aarch64-linux-gnu-as -o probe.o kvm-probe-arm64.S
 *   aarch64-linux-gnu-objcopy -O binary probe.o kvm-probe-arm64.bin
 *
 * Source: Arm Power State Coordination Interface (DEN0022), SYSTEM_OFF.
 */
	mov	w0, #8
	movk	w0, #0x8400, lsl #16
	hvc	#0
1:	b	1b
