;; fletcher-4 over little-endian 32-bit words: a += w, b += a, c += b, d += c, each modulo 2^64.
;; The state (a, b, c, d) is at bytes 0 to 31 of the memory, data anywhere from byte 64 on, at a
;; multiple of 8. Two words a turn, then the odd one that may be left.
(module
  (memory (export "memory") 3)
  (func (export "add") (param $at i32) (param $end i32)
    (local $a i64) (local $b i64) (local $c i64) (local $d i64) (local $pairs_end i32)
    (local.set $a (i64.load (i32.const 0)))
    (local.set $b (i64.load (i32.const 8)))
    (local.set $c (i64.load (i32.const 16)))
    (local.set $d (i64.load (i32.const 24)))
    (local.set $pairs_end (i32.and (local.get $end) (i32.const -8)))
    (block $done
      (loop $pairs
        (br_if $done (i32.ge_u (local.get $at) (local.get $pairs_end)))
        (local.set $a (i64.add (local.get $a) (i64.load32_u (local.get $at))))
        (local.set $b (i64.add (local.get $b) (local.get $a)))
        (local.set $c (i64.add (local.get $c) (local.get $b)))
        (local.set $d (i64.add (local.get $d) (local.get $c)))
        (local.set $a (i64.add (local.get $a) (i64.load32_u offset=4 (local.get $at))))
        (local.set $b (i64.add (local.get $b) (local.get $a)))
        (local.set $c (i64.add (local.get $c) (local.get $b)))
        (local.set $d (i64.add (local.get $d) (local.get $c)))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $pairs)))
    (if (i32.lt_u (local.get $at) (local.get $end)) ;; an odd word is left
      (then
        (local.set $a (i64.add (local.get $a) (i64.load32_u (local.get $at))))
        (local.set $b (i64.add (local.get $b) (local.get $a)))
        (local.set $c (i64.add (local.get $c) (local.get $b)))
        (local.set $d (i64.add (local.get $d) (local.get $c)))))
    (i64.store (i32.const 0) (local.get $a))
    (i64.store (i32.const 8) (local.get $b))
    (i64.store (i32.const 16) (local.get $c))
    (i64.store (i32.const 24) (local.get $d))))
