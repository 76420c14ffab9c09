;; Objects that the engine collects: more than its heap would hold.
(module
  (memory (export "memory") 1)
  (type $pair (struct (field i32) (field (ref null $pair))))
  (func (export "_start")
    (local $n i32) (local $last (ref null $pair))
    (loop $again
      (local.set $last (struct.new $pair (local.get $n) (ref.null $pair)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 100000))))
    (if (i32.ne (struct.get $pair 0 (local.get $last)) (i32.const 99999)) (then unreachable))))
