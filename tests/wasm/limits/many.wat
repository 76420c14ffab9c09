;; Three tables, of which the first is the largest, and two memories.
(module (table 5 funcref) (table 1 funcref) (table 1 funcref) (memory (export "memory") 2) (memory 1)
  (func (export "_start")))
