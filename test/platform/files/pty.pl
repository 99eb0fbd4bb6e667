#!/usr/bin/perl
# A serial port between a guest and its hypervisor, for tests: prints the terminal's path, and passes what is
# written there to whoever is connected to the socket in the first argument, as QEMU does. Ends with its input.
use strict;
use warnings;
use Fcntl;
use IO::Socket::UNIX;
use POSIX ();
use Socket qw(SOCK_STREAM);

my $listening = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $ARGV[0], Listen => 1) or die "$ARGV[0]: $!";
sysopen my $master, '/dev/ptmx', O_RDWR | O_NOCTTY or die "/dev/ptmx: $!";
my $unlocked = pack 'i', 0;
ioctl $master, 0x40045431, $unlocked or die "TIOCSPTLCK: $!";
my $number = pack 'i', 0;
ioctl $master, 0x80045430, $number or die "TIOCGPTN: $!";
my $path = '/dev/pts/' . unpack 'i', $number;
# Held open: a port is there although nobody uses it. It begins as a login line, which echoes and edits.
sysopen my $slave, $path, O_RDWR | O_NOCTTY or die "$path: $!";
$| = 1;
print "$path\n";

my $service;
while (1) {
    my $set = '';
    vec($set, fileno $_, 1) = 1 for \*STDIN, $master, $service || $listening;
    select $set, undef, undef, undef;
    if (vec $set, fileno STDIN, 1) { sysread STDIN, my $nothing, 1 or exit }
    if (!$service) { $service = $listening->accept if vec $set, fileno $listening, 1 }
    elsif (vec $set, fileno $service, 1) {
        if (sysread $service, my $bytes, 65536) { send_all($master, $bytes) }
        else { undef $service; next }
    }
    if (vec $set, fileno $master, 1) {
        sysread $master, my $bytes, 65536 or next;
        send_all($service, $bytes) if $service;
    }
}

sub send_all {
    my ($to, $bytes) = @_;
    while ($bytes ne '') {
        my $sent = syswrite $to, $bytes;
        return unless $sent;
        substr $bytes, 0, $sent, '';
    }
}
