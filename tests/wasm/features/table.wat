;; A table grows up to its limit of 1,000 elements, and no further.
(module
  (memory (export "memory") 1)
  (table $t 10 funcref)
  (func (export "_start")
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 990)) (i32.const 10)) (then unreachable))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))))
