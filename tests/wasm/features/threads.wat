;; Atomic operations on a shared memory.
(module
  (memory (export "memory") 1 2 shared)
  (func (export "_start")
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 5)))
    (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 5)) (then unreachable))
    (if (memory.atomic.notify (i32.const 0) (i32.const 1)) (then unreachable))))
