;; WASI preview 2: files and their streams, as far as no adapter of preview 1 calls them. It writes to the first directory that it is shown,
;; fails at the first check that does not hold, and ends by saying which of them it was, or that all is well.
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error-type (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $stream-error-cases (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-cases)))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (export "[method]output-stream.check-write" (func (param "self" (borrow $output)) (result (result u64 (error $stream-error)))))
    (export "[method]output-stream.write-zeroes"
      (func (param "self" (borrow $output)) (param "len" u64) (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-flush" (func (param "self" (borrow $output)) (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-splice"
      (func (param "self" (borrow $output)) (param "src" (borrow $input)) (param "len" u64) (result (result u64 (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input-type))
  (alias export $streams "output-stream" (type $output-type))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output-type (type $outer))
    (export "output-stream" (type $output (eq $outer)))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (alias outer 1 $error-type (type $outer-error))
    (alias outer 1 $input-type (type $outer-input))
    (alias outer 1 $output-type (type $outer-output))
    (export "error" (type $error (eq $outer-error)))
    (export "input-stream" (type $input (eq $outer-input)))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $codes (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist" "file-too-large"
      "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
      "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory" "not-empty"
      "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only" "invalid-seek"
      "text-file-busy" "cross-device"))
    (export "error-code" (type $code (eq $codes)))
    (type $path-bits (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-bits)))
    (type $open-bits (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-bits)))
    (type $descriptor-bits (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-bits)))
    (export "[method]descriptor.read-via-stream"
      (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $input) (error $code)))))
    (export "[method]descriptor.write-via-stream"
      (func (param "self" (borrow $descriptor)) (param "offset" u64) (result (result (own $output) (error $code)))))
    (export "[method]descriptor.read" (func (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $code)))))
    (export "[method]descriptor.write" (func (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $code)))))
    (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $descriptor-flags) (result (result (own $descriptor) (error $code)))))
    (export "[method]descriptor.link-at" (func (param "self" (borrow $descriptor)) (param "old-path-flags" $path-flags)
      (param "old-path" string) (param "new-descriptor" (borrow $descriptor)) (param "new-path" string) (result (result (error $code)))))
    (export "[method]descriptor.unlink-file-at"
      (func (param "self" (borrow $descriptor)) (param "path" string) (result (result (error $code)))))
    (export "[method]descriptor.is-same-object"
      (func (param "self" (borrow $descriptor)) (param "other" (borrow $descriptor)) (result bool)))
    (export "filesystem-error-code" (func (param "err" (borrow $error)) (result (option $code))))))
  (alias export $types "descriptor" (type $descriptor-type))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor-type (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

  ;; Memory of the program: results at 0, texts at 256, what the interfaces allocate from 4096 on, what the first file holds at 131072.
  (core module $memory
    (memory (export "memory") 4)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get $size))))
    (data (i32.const 256) "descriptors work\n") (data (i32.const 300) "failed at \n") (data (i32.const 320) "one.two.link"))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (alias core export $m "realloc" (core func $realloc))

  (core func $drop (canon resource.drop $descriptor-type))
  (core func $drop-in (canon resource.drop $input-type))
  (core func $drop-out (canon resource.drop $output-type))
  (core func $drop-error (canon resource.drop $error-type))
  (core func $check-write (canon lower (func $streams "[method]output-stream.check-write") (memory $mem)))
  (core func $zeroes (canon lower (func $streams "[method]output-stream.write-zeroes") (memory $mem)))
  (core func $flush (canon lower (func $streams "[method]output-stream.blocking-flush") (memory $mem)))
  (core func $print (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core func $splice (canon lower (func $streams "[method]output-stream.blocking-splice") (memory $mem)))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $reading (canon lower (func $types "[method]descriptor.read-via-stream") (memory $mem)))
  (core func $writing (canon lower (func $types "[method]descriptor.write-via-stream") (memory $mem)))
  (core func $read (canon lower (func $types "[method]descriptor.read") (memory $mem) (realloc $realloc)))
  (core func $write (canon lower (func $types "[method]descriptor.write") (memory $mem)))
  (core func $open-at (canon lower (func $types "[method]descriptor.open-at") (memory $mem)))
  (core func $link-at (canon lower (func $types "[method]descriptor.link-at") (memory $mem)))
  (core func $unlink-at (canon lower (func $types "[method]descriptor.unlink-file-at") (memory $mem)))
  (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
  (core func $code-of (canon lower (func $types "filesystem-error-code") (memory $mem)))
  (core func $directories (canon lower (func $preopens "get-directories") (memory $mem) (realloc $realloc)))

  (core module $program
    (import "m" "memory" (memory 4))
    (import "p" "drop" (func $drop (param i32)))
    (import "p" "drop-in" (func $drop-in (param i32)))
    (import "p" "drop-out" (func $drop-out (param i32)))
    (import "p" "drop-error" (func $drop-error (param i32)))
    (import "p" "check-write" (func $check-write (param i32 i32)))
    (import "p" "zeroes" (func $zeroes (param i32 i64 i32)))
    (import "p" "flush" (func $flush (param i32 i32)))
    (import "p" "print" (func $print (param i32 i32 i32 i32)))
    (import "p" "splice" (func $splice (param i32 i32 i64 i32)))
    (import "p" "get-stdout" (func $get-stdout (result i32)))
    (import "p" "reading" (func $reading (param i32 i64 i32)))
    (import "p" "writing" (func $writing (param i32 i64 i32)))
    (import "p" "read" (func $read (param i32 i64 i64 i32)))
    (import "p" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "p" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "p" "link-at" (func $link-at (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "p" "unlink-at" (func $unlink-at (param i32 i32 i32 i32)))
    (import "p" "same" (func $same (param i32 i32) (result i32)))
    (import "p" "code-of" (func $code-of (param i32 i32)))
    (import "p" "directories" (func $directories (param i32)))
    (global $step (mut i32) (i32.const 0))
    (global $failed (mut i32) (i32.const 0))
    (global $top (mut i32) (i32.const 0))   ;; the directory
    (global $size i32 (i32.const 50000))    ;; of the first file
    (global $text i32 (i32.const 131072))
    (global $one i32 (i32.const 320)) (global $two i32 (i32.const 324)) (global $link i32 (i32.const 328)) (global $dot i32 (i32.const 323))
    (global $old i32 (i32.const 0)) (global $new i32 (i32.const 9))  ;; open flags: create and truncate
    (global $reads i32 (i32.const 1)) (global $writes i32 (i32.const 2)) (global $both i32 (i32.const 3))
    (global $bad-descriptor i32 (i32.const 3))

    (func $check (param $holds i32)
      (global.set $step (i32.add (global.get $step) (i32.const 1)))
      (if (i32.and (i32.eqz (local.get $holds)) (i32.eqz (global.get $failed))) (then (global.set $failed (global.get $step)))))

    ;; The resource that a call gave at 0; without one nothing goes on.
    (func $given (result i32)
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (if (i32.load8_u (i32.const 0)) (then (call $tell) unreachable))
      (i32.load (i32.const 4)))

    (func $open (param $name i32) (param $long i32) (param $how i32) (param $flags i32) (result i32)
      (call $open-at (global.get $top) (i32.const 0) (local.get $name) (local.get $long) (local.get $how) (local.get $flags) (i32.const 0))
      (call $given))

    (func $input (param $file i32) (param $offset i64) (result i32)
      (call $reading (local.get $file) (local.get $offset) (i32.const 0))
      (call $given))

    (func $output (param $file i32) (param $offset i64) (result i32)
      (call $writing (local.get $file) (local.get $offset) (i32.const 0))
      (call $given))

    ;; An object has one identity, by whatever descriptor and name; a file that took the name of another has its own.
    (func $identity (local $a i32) (local $b i32) (local $c i32)
      (local.set $a (call $open (global.get $one) (i32.const 3) (global.get $new) (global.get $both)))
      (local.set $b (call $open (global.get $one) (i32.const 3) (global.get $old) (global.get $reads)))
      (local.set $c (call $open (global.get $two) (i32.const 3) (global.get $new) (global.get $both)))
      (call $check (call $same (local.get $a) (local.get $a)))
      (call $check (call $same (local.get $a) (local.get $b)))
      (call $check (call $same (local.get $b) (local.get $a)))
      (call $check (i32.eqz (call $same (local.get $a) (local.get $c))))
      (call $check (i32.eqz (call $same (local.get $a) (global.get $top))))
      (call $drop (local.get $b))
      (call $unlink-at (global.get $top) (global.get $link) (i32.const 4) (i32.const 0))  ;; of another run
      (call $link-at (global.get $top) (i32.const 0) (global.get $one) (i32.const 3)
        (global.get $top) (global.get $link) (i32.const 4) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (local.set $b (call $open (global.get $link) (i32.const 4) (global.get $old) (global.get $writes)))
      (call $check (call $same (local.get $a) (local.get $b)))
      (call $unlink-at (global.get $top) (global.get $one) (i32.const 3) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $unlink-at (global.get $top) (global.get $link) (i32.const 4) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $check (call $same (local.get $b) (local.get $a)))  ;; without a name
      (call $drop (local.get $b))
      (local.set $b (call $open (global.get $one) (i32.const 3) (global.get $new) (global.get $writes)))
      (call $check (i32.eqz (call $same (local.get $a) (local.get $b))))
      (call $drop (local.get $b))
      (local.set $b (call $open (global.get $dot) (i32.const 1) (global.get $old) (global.get $reads)))
      (call $check (call $same (local.get $b) (global.get $top)))
      (call $drop (local.get $a))
      (call $drop (local.get $b))
      (call $drop (local.get $c)))

    ;; All between the streams, in as many parts as they like; then the source is at its end.
    (func $splice-all (param $out i32) (param $in i32) (result i64) (local $all i64)
      (loop $more
        (call $splice (local.get $out) (local.get $in) (i64.const 100000) (i32.const 0))
        (if (i32.eqz (i32.load8_u (i32.const 0))) (then
          (local.set $all (i64.add (local.get $all) (i64.load (i32.const 8))))
          (br $more))))
      (call $check (i32.eq (i32.load8_u (i32.const 8)) (i32.const 1)))  ;; closed
      (local.get $all))

    (func $fill (local $i i32)
      (loop $more
        (i32.store8 (i32.add (global.get $text) (local.get $i))
          (i32.add (i32.mul (local.get $i) (i32.const 7)) (i32.shr_u (local.get $i) (i32.const 8))))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (global.get $size)))))

    ;; How many bytes at $a are as those at $b before one differs.
    (func $alike (param $a i32) (param $b i32) (param $size i32) (result i32) (local $i i32)
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $i) (local.get $size)))
        (br_if $done (i32.ne (i32.load8_u (i32.add (local.get $a) (local.get $i))) (i32.load8_u (i32.add (local.get $b) (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
      (local.get $i))

    ;; From behind the third byte of one file to behind the fifth of the other: the first part is just as long as it was asked to be;
    ;; zeroes are behind all.
    (func $copy (local $a i32) (local $b i32) (local $in i32) (local $out i32)
      (call $fill)
      (local.set $a (call $open (global.get $one) (i32.const 3) (global.get $new) (global.get $both)))
      (local.set $b (call $open (global.get $two) (i32.const 3) (global.get $new) (global.get $both)))
      (call $write (local.get $a) (global.get $text) (global.get $size) (i64.const 0) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $check (i64.eq (i64.load (i32.const 8)) (i64.extend_i32_u (global.get $size))))
      (local.set $in (call $input (local.get $a) (i64.const 3)))
      (local.set $out (call $output (local.get $b) (i64.const 5)))
      (call $splice (local.get $out) (local.get $in) (i64.const 10) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $check (i64.eq (i64.load (i32.const 8)) (i64.const 10)))
      (call $check (i64.eq (call $splice-all (local.get $out) (local.get $in)) (i64.const 49987)))
      (call $check-write (local.get $out) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $check (i64.ge_u (i64.load (i32.const 8)) (i64.const 3)))
      (call $zeroes (local.get $out) (i64.const 3) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $flush (local.get $out) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $drop-in (local.get $in))
      (call $drop-out (local.get $out))
      (call $read (local.get $b) (i64.const 60000) (i64.const 0) (i32.const 0))
      (call $check (i32.eqz (i32.load8_u (i32.const 0))))
      (call $check (i32.eq (i32.load (i32.const 8)) (i32.const 50005)))
      (call $check (i32.eqz (i32.load (i32.load (i32.const 4)))))
      (call $check (i32.eq (i32.const 3) (call $alike
        (i32.load (i32.const 4)) (i32.add (i32.load (i32.const 4)) (i32.const 50002)) (i32.const 3))))
      (call $check (i32.eq (i32.const 49997) (call $alike
        (i32.add (i32.load (i32.const 4)) (i32.const 5)) (i32.add (global.get $text) (i32.const 3)) (i32.const 49997))))
      (call $drop (local.get $a))
      (call $drop (local.get $b)))

    ;; A stream's error, which that is of: a file that is not open for it.
    (func $is-of-the-descriptor (param $case i32) (param $error i32)
      (call $check (i32.eqz (local.get $case)))  ;; the last operation failed
      (if (local.get $case) (then (return)))
      (call $code-of (local.get $error) (i32.const 0))
      (call $check (i32.load8_u (i32.const 0)))
      (call $check (i32.eq (i32.load8_u (i32.const 1)) (global.get $bad-descriptor)))
      (call $drop-error (local.get $error)))

    (func $errors (local $a i32) (local $b i32) (local $in i32) (local $out i32)
      (local.set $a (call $open (global.get $one) (i32.const 3) (global.get $old) (global.get $writes)))
      (local.set $b (call $open (global.get $two) (i32.const 3) (global.get $old) (global.get $writes)))
      (local.set $in (call $input (local.get $a) (i64.const 0)))
      (local.set $out (call $output (local.get $b) (i64.const 0)))
      (call $splice (local.get $out) (local.get $in) (i64.const 10) (i32.const 0))
      (call $check (i32.load8_u (i32.const 0)))
      (call $is-of-the-descriptor (i32.load8_u (i32.const 8)) (i32.load (i32.const 12)))
      (call $check (i64.eqz (call $splice-all (local.get $out) (local.get $in))))  ;; and it is closed then
      (call $drop-in (local.get $in))
      (call $drop-out (local.get $out))
      (call $drop (local.get $a))
      (call $drop (local.get $b))
      (local.set $a (call $open (global.get $one) (i32.const 3) (global.get $old) (global.get $reads)))
      (local.set $b (call $open (global.get $two) (i32.const 3) (global.get $old) (global.get $reads)))
      (local.set $in (call $input (local.get $a) (i64.const 0)))
      (local.set $out (call $output (local.get $b) (i64.const 0)))
      (call $splice (local.get $out) (local.get $in) (i64.const 10) (i32.const 0))
      (if (i32.load8_u (i32.const 0))
        (then (call $is-of-the-descriptor (i32.load8_u (i32.const 8)) (i32.load (i32.const 12))))
        (else  ;; it is written behind the call, and the flush says how that went
          (call $flush (local.get $out) (i32.const 0))
          (call $check (i32.load8_u (i32.const 0)))
          (call $is-of-the-descriptor (i32.load8_u (i32.const 4)) (i32.load (i32.const 8)))))
      (call $drop-in (local.get $in))
      (call $drop-out (local.get $out))
      (call $drop (local.get $a))
      (call $drop (local.get $b)))

    (func $tell (local $out i32)
      (local.set $out (call $get-stdout))
      (i32.store8 (i32.const 310) (i32.add (i32.const 64) (global.get $failed)))
      (if (global.get $failed)
        (then (call $print (local.get $out) (i32.const 300) (i32.const 12) (i32.const 0)))
        (else (call $print (local.get $out) (i32.const 256) (i32.const 17) (i32.const 0))))
      (call $drop-out (local.get $out)))

    (func (export "run") (result i32)
      (call $directories (i32.const 0))
      (call $check (i32.ne (i32.load (i32.const 4)) (i32.const 0)))
      (if (i32.load (i32.const 4)) (then
        (global.set $top (i32.load (i32.load (i32.const 0))))
        (call $identity)
        (call $copy)
        (call $errors)))
      (call $tell)
      (i32.ne (global.get $failed) (i32.const 0))))

  (core instance $i (instantiate $program
    (with "m" (instance $m))
    (with "p" (instance
      (export "drop" (func $drop)) (export "drop-in" (func $drop-in)) (export "drop-out" (func $drop-out))
      (export "drop-error" (func $drop-error)) (export "check-write" (func $check-write)) (export "zeroes" (func $zeroes))
      (export "flush" (func $flush)) (export "print" (func $print))
      (export "splice" (func $splice)) (export "get-stdout" (func $get-stdout)) (export "reading" (func $reading))
      (export "writing" (func $writing)) (export "read" (func $read)) (export "write" (func $write)) (export "open-at" (func $open-at))
      (export "link-at" (func $link-at)) (export "unlink-at" (func $unlink-at)) (export "same" (func $same))
      (export "code-of" (func $code-of)) (export "directories" (func $directories))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $cli (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $cli)))
