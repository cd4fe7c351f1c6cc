// The training loop. Nothing in a step waits for the device: parameters of the batch go out in one small
// copy, losses stay on the device until a progress line is due.
#include "train/train.h"

#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>

#include "core/error.h"
#include "io/checkpoint.h"
#include "nn/weights.h"
#include "train/assemble.h"
#include "train/data.h"
#include "train/device.h"
#include "train/loss.h"
#include "train/progress.h"
#include "train/ranks.h"
#include "train/run_state.h"
#include "train/schedule.h"
#include "train/time_budget.h"

namespace bsm {
namespace {

namespace fs = std::filesystem;
std::string file_in(const std::string& dir, const char* name) { return (fs::path(dir) / name).string(); }

class Trainer {
 public:
  Trainer(const TrainOptions& options, const RankLink& link)
      : options_(options),
        time_(options),
        config_(RunConfig::load(options.config_file)),
        link_(link),
        device_(choose_device(options.device, link.rank(), link.count())),
        current_device_(device_) {
    if (options.steps > 0) config_.training.steps = options.steps;
    if (options.batch > 0) config_.training.batch = options.batch;
    if (options.accumulate > 0) config_.training.accumulate = options.accumulate;
    if (options.recompute) config_.training.recompute = true;
    log_.emplace(options.report);
    TrainingData data;
    if (link_.is_first()) {
      prepare_out_dir();
      data = load_training_data(options, config_, device_, [this](const auto& line) { log_->say(line); });
    }
    make_network();
    if (link_.is_first()) link_.wait_for_first();  // nothing was wrong: the others begin
    ranks_.emplace(link_, device_);
    share_training_data(data, link_, *ranks_, device_);
    index_ = std::move(data.index);
    segment_samples_ = std::llround(config_.training.segment_s * config_.model.sample_rate_hz);
    assembler_.emplace(data.packed, config_.training.augment, index_.sample_rate_hz, segment_samples_);
    sampler_.emplace(index_, config_.training.augment, segment_samples_);
    validator_.emplace(std::move(data.validation), config_.training.validate_window_s, config_.training.batch,
                       device_);
    transform_.emplace(config_.model.stft, device_);
    if (link_.is_first()) log_->open(options.out_dir, state_.step);
    loss_sum_ = torch::zeros({}, torch::TensorOptions(torch::kFloat).device(device_));
  }

  TrainSummary run() {
    const TrainingConfig& t = config_.training;
    int64_t last_step = time_.schedule_is_timed() ? std::numeric_limits<int64_t>::max() : t.steps;
    if (options_.stop_after_steps > 0) last_step = std::min(last_step, options_.stop_after_steps);
    keep_time_to_finish();
    const StopSignals signals;
    interval_start_s_ = last_save_s_ = scheduled_until_s_ = time_.elapsed_s();
    bool stopped = false;
    while (state_.step < last_step && !stopped) {
      make_step();
      const Orders orders = link_.from_first(link_.is_first() ? give_orders(signals.raised()) : Orders{});
      state_.schedule_done = orders.schedule_done;
      stopped = orders.stop;
      const bool last = state_.step == last_step || stopped;
      const bool validates = !last && state_.step % t.validate_every_steps == 0;
      const bool saves = !last && orders.save;
      if (validates && link_.is_first()) validate_and_save_models();
      if (state_.step % t.report_every_steps == 0 || last) report();
      if (saves && link_.is_first()) save();
      if (validates || saves) link_.wait_for_first();
    }
    const bool interrupted = stopped && !schedule_has_ended();
    if (link_.is_first()) {
      save();  // first of all: whoever ends this run early may not wait for the scores
      validate_and_save_models();
      write_state();
      say_result();
    }
    link_.wait_for_first();
    ranks_->leave();
    return {state_.step, last_loss_, trained_s(), state_.last_usdr_db, state_.best_usdr_db, interrupted};
  }

 private:
  /// What the first process decides after a step, for all.
  struct Orders {
    double schedule_done = 0;
    bool stop = false;
    bool save = false;
  };

  std::string state_file() const { return file_in(options_.out_dir, "state.safetensors"); }

  void prepare_out_dir() {
    if (options_.resume && !options_.init_file.empty())
      throw Error(ErrorCode::kSettings, "Give a file to start from or resume, not both.");
    std::error_code error;
    fs::create_directories(options_.out_dir, error);
    if (error)
      throw Error(ErrorCode::kOpenWrite,
                  "The output folder " + options_.out_dir + " cannot be made: " + error.message() + ".");
    if (!options_.resume && fs::exists(state_file()))
      throw Error(ErrorCode::kSettings, "The output folder " + options_.out_dir +
                                            " holds a training already "
                                            "(state.safetensors); resume it or give another folder.");
  }

  void make_network() {
    torch::manual_seed(config_.training.seed);
    network_ = SeparationNetwork(config_.model);
    if (!options_.init_file.empty()) {
      const std::string unmatched =
          load_weights(network_, Checkpoint::open(options_.init_file), /*partial=*/true);
      if (!unmatched.empty()) log_->say("from " + options_.init_file + ", not used:\n" + unmatched);
    }
    network_->to(device_);
    if (device_.is_cuda()) {
      at::globalContext().setAllowTF32CuBLAS(true);
      if (config_.training.dtype == "bf16") network_->set_compute_dtype(torch::kBFloat16);
    }
    network_->set_recompute(config_.training.recompute);
    network_->train();
    parameters_.emplace(*network_);
    if (options_.resume) state_ = load_state(state_file(), *parameters_, config_);
    trained_before_s_ = state_.trained_s;
    char text[160];
    std::snprintf(text, sizeof(text), "model: %.2f million parameters on %s; from step %lld",
                  static_cast<double>(parameter_count(network_)) / 1e6, device_.str().c_str(),
                  static_cast<long long>(state_.step));
    log_->say(text);
  }

  void make_step() {
    const TrainingConfig& t = config_.training;
    const int64_t ranks = link_.count();
    torch::manual_seed((t.seed * 1000003 + static_cast<uint64_t>(state_.step)) *
                           static_cast<uint64_t>(ranks) +
                       static_cast<uint64_t>(link_.rank()));  // dropout of the baseline
    parameters_->zero_grad();
    for (int pass = 0; pass < t.accumulate; ++pass) {
      const BatchDraw draw = sampler_->draw(t.seed, state_.mixtures + link_.rank() * t.batch, t.batch);
      state_.mixtures += ranks * t.batch;
      const TrainingBatch batch = assembler_->assemble(draw);
      const torch::Tensor estimate = separate_waves(network_, *transform_, batch.mixture);
      const torch::Tensor loss = separation_loss(estimate, batch.vocals) / t.accumulate;
      loss.backward();
      loss_sum_ += loss.detach();
    }
    ranks_->average(parameters_->gradients);
    learning_rate_ = learning_rate_at(state_.step, state_.schedule_done, t);
    parameters_->step(learning_rate_, {t.betas, 1e-8, t.weight_decay, t.clip, t.ema});
    ++state_.step;
    ++interval_steps_;
  }

  /// After a step, by the first process, whose clock counts for all.
  Orders give_orders(bool stop_signal) {
    const TrainingConfig& t = config_.training;
    const double now_s = time_.elapsed_s();
    Orders orders;
    orders.schedule_done = state_.schedule_done;
    if (state_.step > t.warmup_steps) {
      orders.schedule_done =
          time_.schedule_is_timed()
              ? advance_schedule(state_.schedule_done, now_s - scheduled_until_s_,
                                 time_.schedule_end_s() - scheduled_until_s_)
              : advance_schedule(state_.schedule_done, 1, static_cast<double>(t.steps - (state_.step - 1)));
    }
    scheduled_until_s_ = now_s;
    orders.stop = stop_signal || time_.is_over();
    orders.save = now_s - last_save_s_ > t.save_every_minutes * 60;
    return orders;
  }

  /// By all processes, for the loss is the mean of all.
  void report() {
    const TrainingConfig& t = config_.training;
    ranks_->average(loss_sum_);
    ProgressRow row;
    row.step = state_.step;
    row.steps = t.steps;
    last_loss_ = loss_sum_.item<double>() / static_cast<double>(interval_steps_);
    loss_sum_.zero_();
    row.loss = last_loss_;
    row.gradient_norm = parameters_->gradient_norm().item<double>();
    row.learning_rate = learning_rate_;
    row.skipped_steps = parameters_->skipped().item<double>();
    const double interval_s = time_.elapsed_s() - interval_start_s_ - interval_pause_s_;
    row.audio_s_per_s = t.segment_s * t.batch * t.accumulate * link_.count() *
                        static_cast<double>(interval_steps_) / interval_s;
    row.vocals_usdr_db = state_.last_usdr_db;
    row.instrumental_usdr_db = instrumental_usdr_db_;
    row.trained_s = trained_s();
    const double step_s = interval_s / static_cast<double>(interval_steps_);
    row.left_s = step_s * static_cast<double>(t.steps - state_.step);
    if (time_.schedule_is_timed()) {
      row.left_s = std::max(0.0, time_.schedule_end_s() - time_.elapsed_s());
      row.steps = state_.step + std::llround(row.left_s / step_s);
    }
    row.left_s = std::min(row.left_s, std::max(0.0, time_.stop_at_s() - time_.elapsed_s()));
    if (link_.is_first()) log_->add(row);
    if (link_.is_first() && row.skipped_steps - skipped_before_ >= static_cast<double>(interval_steps_))
      throw Error(ErrorCode::kFailed,
                  "No gradient of the last " + std::to_string(interval_steps_) +
                      " steps was finite; lower the learning rate, or resume from an older state.");
    skipped_before_ = row.skipped_steps;
    interval_start_s_ = time_.elapsed_s();
    interval_pause_s_ = 0;
    interval_steps_ = 0;
  }

  bool schedule_has_ended() const {
    return time_.schedule_is_timed() ? time_.elapsed_s() >= time_.schedule_end_s()
                                     : state_.step >= config_.training.steps;
  }

  void keep_time_to_finish() { time_.reserve(1.5 * (validate_s_ + save_s_) + (device_.is_cuda() ? 3 : 1)); }

  /// Scores the moving average and writes it as last.safetensors and, when it is the best, best.safetensors.
  void validate_and_save_models() {
    const double start_s = time_.elapsed_s();
    parameters_->swap_average();
    network_->eval();
    network_->prepare_inference();
    bool best = false;
    if (!validator_->empty()) {
      const ValidationScore score = validator_->score(network_, *transform_);
      state_.last_usdr_db = score.vocals_db;
      instrumental_usdr_db_ = score.instrumental_db;
      best = std::isnan(state_.best_usdr_db) || score.vocals_db > state_.best_usdr_db;
      if (best) state_.best_usdr_db = score.vocals_db;
    }
    std::map<std::string, std::string> score;
    if (!validator_->empty()) score["validation_usdr_db"] = std::to_string(state_.last_usdr_db);
    write_model("last.safetensors", score);
    if (best) write_model("best.safetensors", score);
    parameters_->swap_average();
    network_->train();
    validate_s_ = time_.elapsed_s() - start_s;
    keep_time_to_finish();
    interval_pause_s_ += validate_s_;
  }

  /// The network's present weights at half precision.
  void write_model(const char* name, std::map<std::string, std::string> metadata) {
    metadata["training_steps"] = std::to_string(state_.step);
    metadata["training_seconds"] = std::to_string(std::llround(trained_s()));
    save_network(file_in(options_.out_dir, name), network_, DType::kF16, metadata);
  }

  void write_state() {
    state_.trained_s = trained_s();
    save_state(state_file(), state_, *parameters_, config_);
  }

  /// The state to resume from, and the moving average of this moment as last.safetensors.
  void save() {
    const double start_s = time_.elapsed_s();
    write_state();
    parameters_->swap_average();
    write_model("last.safetensors", {});
    parameters_->swap_average();
    last_save_s_ = time_.elapsed_s();
    save_s_ = time_.elapsed_s() - start_s;
    keep_time_to_finish();
    interval_pause_s_ += save_s_;
  }

  void say_result() {
    if (validator_->empty()) return;
    char text[160];
    std::snprintf(text, sizeof(text),
                  "validation: vocals %.2f dB, instrumental %.2f dB uSDR (vocals at best %.2f dB)",
                  state_.last_usdr_db, instrumental_usdr_db_, state_.best_usdr_db);
    log_->say(text);
  }

  double trained_s() const { return trained_before_s_ + time_.elapsed_s(); }

  TrainOptions options_;
  TimeBudget time_;
  RunConfig config_;
  const RankLink& link_;
  torch::Device device_;
  c10::DeviceGuard current_device_;  // of this thread, for what launches without naming one
  std::optional<Ranks> ranks_;
  std::optional<ProgressLog> log_;
  TrackIndex index_;
  int64_t segment_samples_ = 0;
  std::optional<BatchAssembler> assembler_;
  std::optional<BatchSampler> sampler_;
  std::optional<Validator> validator_;
  std::optional<WaveTransform> transform_;
  SeparationNetwork network_{nullptr};
  std::optional<FlatParameters> parameters_;
  RunState state_;
  double trained_before_s_ = 0;

  torch::Tensor loss_sum_;  // since the last report, on the device
  int64_t interval_steps_ = 0;
  double interval_start_s_ = 0;
  double interval_pause_s_ = 0;  // validation and saving since the last report
  double skipped_before_ = 0;
  double last_loss_ = std::numeric_limits<double>::quiet_NaN();
  double learning_rate_ = 0;
  double scheduled_until_s_ = 0;  // of this run; the time up to which schedule_done counts
  double instrumental_usdr_db_ = std::numeric_limits<double>::quiet_NaN();
  double last_save_s_ = 0;
  double validate_s_ = 0;
  double save_s_ = 0;
};

}  // namespace

TrainSummary train(const TrainOptions& options) {
  const RankLink link(options.ranks);
  TrainOptions own = options;
  if (!link.is_first()) {
    own.report = [](const std::string&) {};
    link.wait_for_first();
  }
  try {
    return Trainer(own, link).run();
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorCode::kOutOfMemory,
                std::string("The device's memory is full; give --recompute, or a lower --batch and a "
                            "higher --accumulate: ") +
                    error.what_without_backtrace());
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::kFailed, std::string("Training failed: ") + error.what_without_backtrace());
  }
}

}  // namespace bsm
