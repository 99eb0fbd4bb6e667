/*
 * A boot sector that does what boot loaders and kernels do, to see whether KVM works on this machine
 * and is fast: copies 8 MiB byte by byte in protected mode without paging, as GRUB does with kernels,
 * then again in long mode with paging, and ends the machine through QEMU's isa-debug-exit device or,
 * where QEMU is older than that, by a reset.
 * Some nested hypervisors never get that far, or take minutes.
 *
 * kvm-probe.bin is made of this, and accelerator.live.ts checks that it is:
 *   as --64 -o kvm-probe.o kvm-probe.S
 *   ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o kvm-probe.bin kvm-probe.o
 */
	.set SOURCE, 0x100000
	.set TARGET, 0x1000000
	.set BYTES, 0x800000
	.set TABLES, 0x10000		/* three page tables of 4 KiB */

	.code16
	.globl _start
_start:
	ljmp $0, $flat			/* some firmware starts at 07c0:0000 */
flat:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	lgdtl gdt_pointer
	movl %cr0, %eax
	orb $1, %al			/* PE */
	movl %eax, %cr0
	ljmpl $0x08, $protected

	.code32
protected:
	movw $0x10, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $SOURCE, %esi
	movl $TARGET, %edi
	movl $BYTES, %ecx
1:	movb (%esi), %al
	movb %al, (%edi)
	incl %esi
	incl %edi
	decl %ecx
	jnz 1b

	/* The first GiB at its own addresses, in pages of 2 MiB. */
	cld
	xorl %eax, %eax
	movl $TABLES, %edi
	movl $0xc00, %ecx
	rep stosl
	movl $TABLES + 0x1003, TABLES
	movl $TABLES + 0x2003, TABLES + 0x1000
	movl $0x83, %eax
	movl $TABLES + 0x2000, %edi
	movl $512, %ecx
2:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 2b
	movl %cr4, %eax
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $TABLES, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER */
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax		/* PG */
	movl %eax, %cr0
	ljmpl $0x18, $long

	.code64
long:
	movl $SOURCE, %esi
	movl $TARGET, %edi
	movl $BYTES, %ecx
3:	movb (%rsi), %al
	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decl %ecx
	jnz 3b
	movb $0x10, %al
	outb %al, $0xf4			/* QEMU exits with 2 * 0x10 + 1 */
	movb $0xfe, %al
	outb %al, $0x64			/* the keyboard controller pulls the reset line */
4:	hlt
	jmp 4b

	.balign 8
gdt:	.quad 0
	.quad 0x00cf9a000000ffff	/* 0x08: code, 32 bits */
	.quad 0x00cf92000000ffff	/* 0x10: data */
	.quad 0x00af9a000000ffff	/* 0x18: code, 64 bits */
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt
	.org 510
	.byte 0x55, 0xaa
