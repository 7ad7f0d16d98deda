#![allow(unsafe_code)]
use std::time::Instant;
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shapes: Vec<[usize; 5]> = std::env::var("SHAPES")
        .unwrap_or("32,16,16,32,32 32,8,8,64,128 32,4,4,128,128 32,32,32,16,32".into())
        .split_whitespace()
        .map(|s| {
            let v: Vec<usize> = s.split(',').map(|x| x.parse().unwrap()).collect();
            [v[0], v[1], v[2], v[3], v[4]]
        })
        .collect();
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let adapter = &adapters[0];
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() & wgpu::Features::SUBGROUP,
        required_limits: adapter.limits(),
        ..Default::default()
    }))
    .unwrap();
    for [n, h, w, ci, co] in shapes {
        let mk = |len: usize, seed: u32| {
            let mut s = seed;
            let v: Vec<f32> = (0..len)
                .map(|_| {
                    s = s.wrapping_mul(1664525).wrapping_add(1013904223);
                    (s >> 8) as f32 / 8388608.0 - 1.0
                })
                .collect();
            v
        };
        let (xv, wv) = (mk(n * h * w * ci, 1), mk(9 * ci * co, 2));
        let buf = |data: &[f32]| {
            let b = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: (data.len() * 4) as u64,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            queue.write_buffer(&b, 0, bytemuck::cast_slice(data));
            b
        };
        let (xb, wb, yb) = (buf(&xv), buf(&wv), buf(&vec![0f32; n * h * w * co]));
        println!("shape {n} {h}x{w} {ci}->{co}");
        for f in &args {
            let src = std::fs::read_to_string(f).unwrap();
            let g: Vec<usize> = src
                .lines()
                .next()
                .unwrap()
                .trim_start_matches("//grid ")
                .split_whitespace()
                .map(|x| x.parse().unwrap())
                .collect();
            if co % g[1].min(co) != 0 {
                continue;
            }
            let text = format!(
                "const N=u32({n});const H=u32({h});const W=u32({w});const CI=u32({ci});const CO=u32({co});\n{src}"
            );
            let begun = Instant::now();
            let module = unsafe {
                device.create_shader_module_trusted(
                    wgpu::ShaderModuleDescriptor {
                        label: None,
                        source: wgpu::ShaderSource::Wgsl(text.into()),
                    },
                    wgpu::ShaderRuntimeChecks::unchecked(),
                )
            };
            let pipe = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: None,
                compilation_options: wgpu::PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
            let bg = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &pipe.get_bind_group_layout(0),
                entries: &[&xb, &wb, &yb]
                    .iter()
                    .enumerate()
                    .map(|(i, b)| wgpu::BindGroupEntry {
                        binding: i as u32,
                        resource: b.as_entire_binding(),
                    })
                    .collect::<Vec<_>>(),
            });
            let run = || {
                let mut e = device.create_command_encoder(&Default::default());
                {
                    let mut p = e.begin_compute_pass(&Default::default());
                    p.set_pipeline(&pipe);
                    p.set_bind_group(0, &bg, &[]);
                    p.dispatch_workgroups(
                        (n * h * w).div_ceil(g[0]) as u32,
                        co.div_ceil(g[1]) as u32,
                        1,
                    );
                }
                queue.submit([e.finish()]);
                device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            };
            run();
            let first = begun.elapsed().as_secs_f64();
            // check
            let rb = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: (n * h * w * co * 4) as u64,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let mut e = device.create_command_encoder(&Default::default());
            e.copy_buffer_to_buffer(&yb, 0, &rb, 0, (n * h * w * co * 4) as u64);
            queue.submit([e.finish()]);
            rb.slice(..).map_async(wgpu::MapMode::Read, |_| ());
            device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            let y: Vec<f32> =
                bytemuck::cast_slice(&rb.slice(..).get_mapped_range().unwrap()).to_vec();
            let mut worst = 0f64;
            let mut hash = 0u64;
            for v in &y {
                hash = hash.wrapping_mul(31).wrapping_add(v.to_bits() as u64);
            }
            for t in 0..200 {
                let p = (t * 7919) % (n * h * w);
                let c = (t * 31) % co;
                let (ni, oy, ox) = (p / (h * w), p / w % h, p % w);
                let mut s = 0f64;
                for ky in 0..3 {
                    for kx in 0..3 {
                        let (iy, ix) = (oy + ky, ox + kx);
                        if iy < 1 || iy > h || ix < 1 || ix > w {
                            continue;
                        }
                        for k in 0..ci {
                            s += xv[((ni * h + iy - 1) * w + ix - 1) * ci + k] as f64
                                * wv[((ky * 3 + kx) * ci + k) * co + c] as f64;
                        }
                    }
                }
                worst = worst.max((s - y[p * co + c] as f64).abs());
            }
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                let b = Instant::now();
                run();
                best = best.min(b.elapsed().as_secs_f64());
            }
            println!(
                "  {:40} {:7.2} GFLOP/s  {:7.2} ms  first {:5.2}s err {:.1e} hash {:016x}",
                f,
                2.0 * (n * h * w * co * 9 * ci) as f64 / best / 1e9,
                best * 1e3,
                first,
                worst,
                hash
            );
        }
    }
}
