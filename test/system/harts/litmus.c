#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, COUNT = 100000, ROUNDS = 20000 };

static atomic_long added, exchanged;
static long locked, plain[ROUNDS];
static atomic_int ready[ROUNDS], x[ROUNDS], y[ROUNDS];
static int seen_x[ROUNDS], seen_y[ROUNDS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static int turn;

static void *count(void *unused) {
  for (int i = 0; i < COUNT; i++) {
    atomic_fetch_add_explicit(&added, 1, memory_order_relaxed);
    long old = atomic_load(&exchanged);
    while (!atomic_compare_exchange_weak(&exchanged, &old, old + 1)) {}
    pthread_mutex_lock(&mutex);
    locked++;
    pthread_mutex_unlock(&mutex);
  }
  return unused;
}

/* Message passing: who sees the flag sees what was written before it. */
static void *publish(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    plain[i] = i + 1;
    atomic_store_explicit(&ready[i], 1, memory_order_release);
  }
  return unused;
}

static void *receive(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    while (!atomic_load_explicit(&ready[i], memory_order_acquire)) {}
    if (plain[i] != i + 1) exit(2);
  }
  return unused;
}

/* Store buffering: not both may miss the other's write. */
static void *left(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    atomic_store(&x[i], 1);
    seen_y[i] = atomic_load(&y[i]);
  }
  return unused;
}

static void *right(void *unused) {
  for (int i = 0; i < ROUNDS; i++) {
    atomic_store(&y[i], 1);
    seen_x[i] = atomic_load(&x[i]);
  }
  return unused;
}

/* Futexes: two threads wake each other in turn. */
static void *play(void *mine) {
  for (int i = 0; i < 500; i++) {
    pthread_mutex_lock(&mutex);
    while (turn != (int)(long)mine) pthread_cond_wait(&turned, &mutex);
    turn = 1 - turn;
    pthread_cond_signal(&turned);
    pthread_mutex_unlock(&mutex);
  }
  return 0;
}

static void run(int threads, void *(*bodies[])(void *)) {
  pthread_t all[THREADS];
  for (long i = 0; i < threads; i++) pthread_create(&all[i], 0, bodies[i], (void *)i);
  for (int i = 0; i < threads; i++) pthread_join(all[i], 0);
}

int main(void) {
  run(THREADS, (void *(*[])(void *)){count, count, count, count});
  if (added != THREADS * COUNT || exchanged != added || locked != added) return 1;
  run(2, (void *(*[])(void *)){publish, receive});
  run(2, (void *(*[])(void *)){left, right});
  for (int i = 0; i < ROUNDS; i++) if (!seen_x[i] && !seen_y[i]) return 3;
  run(2, (void *(*[])(void *)){play, play});
  printf("%ld processors agree\n", sysconf(_SC_NPROCESSORS_ONLN));
  return 0;
}
