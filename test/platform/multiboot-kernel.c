/*
 * A multiboot kernel for tests, in the place of SmartOS' unix: prints its command line, and of each module
 * its words, size and SHA-1, on COM1, and ends QEMU by its exit device.
 * Sources: the Multiboot Specification 0.6.96 (with addresses in the header, as illumos has them); FIPS 180.
 */
typedef unsigned int u32;
typedef unsigned char u8;

struct module {
	u32 start, end;
	const char *words;
	u32 reserved;
};
struct information {
	u32 flags, lower, upper, boot_device;
	const char *command_line;
	u32 modules;
	const struct module *module;
};

extern char begin[], data_end[], bss_end[];
void start(void);
void report(u32 magic, const struct information *information);

#define MAGIC 0x1badb002
#define FLAGS 0x00010003
__attribute__((section(".header"), used)) static const struct {
	u32 magic, flags, checksum;
	const void *header, *load, *load_end, *bss_end;
	void (*entry)(void);
} header = { MAGIC, FLAGS, -(MAGIC + FLAGS), &header, begin, data_end, bss_end, start };

static u8 stack[16384] __attribute__((aligned(16), used));

__asm__(".globl start\nstart: movl $stack + 16384, %esp\n pushl %ebx\n pushl %eax\n call report\n1: hlt\n jmp 1b\n");

static void out(unsigned short port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static u8 in(unsigned short port)
{
	u8 value;
	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}
static void put(const char *text)
{
	for (; *text; text++) {
		while (!(in(0x3fd) & 0x20))
			;
		out(0x3f8, *text);
	}
}
static void put_number(u32 value)
{
	char digits[11], *at = digits + 10;

	for (*at = 0; value || at == digits + 10; value /= 10)
		*--at = '0' + value % 10;
	put(at);
}

static u32 rotate(u32 value, int by) { return value << by | value >> (32 - by); }

static void add_block(u32 *state, const u8 *block)
{
	u32 w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
	int i;

	for (i = 0; i < 16; i++)
		w[i] = (u32)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
	for (; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (i = 0; i < 80; i++) {
		u32 f = i < 20 ? ((b & c) | (~b & d)) + 0x5a827999 :
			i < 40 ? (b ^ c ^ d) + 0x6ed9eba1 :
			i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc :
				 (b ^ c ^ d) + 0xca62c1d6;
		u32 next = rotate(a, 5) + f + e + w[i];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
}

static void put_sha1(const u8 *data, u32 bytes)
{
	u32 state[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
	u8 last[128];
	u32 at, i, rest = bytes % 64, padded = rest < 56 ? 64 : 128;
	char text[2] = { 0, 0 };

	for (at = 0; at + 64 <= bytes; at += 64)
		add_block(state, data + at);
	for (i = 0; i < padded; i++)
		last[i] = i < rest ? data[at + i] : i == rest ? 0x80 : 0;
	for (i = 0; i < 4; i++)
		last[padded - 1 - i] = bytes << 3 >> (8 * i);
	last[padded - 5] = bytes >> 29;
	for (i = 0; i < padded; i += 64)
		add_block(state, last + i);
	for (i = 0; i < 40; i++) {
		text[0] = "0123456789abcdef"[state[i / 8] >> (28 - 4 * (i % 8)) & 15];
		put(text);
	}
}

void report(u32 magic, const struct information *information)
{
	u32 i;

	put(magic == 0x2badb002 ? "BOOTED " : "NOT BY MULTIBOOT ");
	put(information->command_line);
	put("\n");
	for (i = 0; i < information->modules; i++) {
		const struct module *module = &information->module[i];

		put("MODULE ");
		put(module->words);
		put(" ");
		put_number(module->end - module->start);
		put(" ");
		put_sha1((const u8 *)module->start, module->end - module->start);
		put("\n");
	}
	put("END\n");
	out(0xf4, 0x10);
}
