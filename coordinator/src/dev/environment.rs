//! What `libra dev` takes from the process environment.

use std::path::PathBuf;

/// The variables that count, read once by the command line.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `LIBRA_CACHE_DIR`: where pyspark is installed.
    pub libra_cache_dir: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub xdg_cache_home: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `JAVA_HOME`: whose Java is used instead of the one in `PATH`.
    pub java_home: Option<PathBuf>,
}

impl Environment {
    /// Reads this process's environment; empty variables are unset ones.
    #[must_use]
    pub fn of_process() -> Self {
        let path = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            libra_cache_dir: path("LIBRA_CACHE_DIR"),
            xdg_cache_home: path("XDG_CACHE_HOME"),
            home: path("HOME"),
            java_home: path("JAVA_HOME"),
        }
    }

    /// The cache folder: `$LIBRA_CACHE_DIR`, else `libra` in the user's cache folder.
    #[must_use]
    pub fn cache(&self) -> Option<PathBuf> {
        let user = || {
            let cache = self.xdg_cache_home.clone();
            cache.or_else(|| self.home.as_ref().map(|home| home.join(".cache")))
        };
        self.libra_cache_dir
            .clone()
            .or_else(|| user().map(|cache| cache.join("libra")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_cache_folder_wins() {
        let mut environment = Environment::default();
        assert_eq!(environment.cache(), None);
        environment.home = Some("/home/a".into());
        assert_eq!(environment.cache(), Some("/home/a/.cache/libra".into()));
        environment.xdg_cache_home = Some("/xdg".into());
        assert_eq!(environment.cache(), Some("/xdg/libra".into()));
        environment.libra_cache_dir = Some("/own".into());
        assert_eq!(environment.cache(), Some("/own".into()));
    }
}
